"""A JSON array as large as a file, element by element: memory holds one chunk, or one element."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hypserini.formats.reading import LONGEST_LINE, Failure, check_length
from hypserini.formats.values import Malformed, json_limit, not_utf8

CHUNK = 1 << 20
_GAP = re.compile(r"[ \t\r\n,]*")


def stream_array(
    file: IO[bytes], begun: bytes, line: int, path: str | Path, failure: Failure
) -> Iterator[tuple[int, str, Any]]:
    """Yield line, text and value of each element of an array.

    Args:
        file: what follows the bytes that were read already.
        begun: those, the `[` among them.
        line: the number of the line of the `[`.
        path: the file's name, for messages.
        failure: what to raise.

    Raises:
        failure: the array is malformed, not UTF-8, not closed or not the last thing in the file,
            or an element is longer than a line may be.
    """
    try:
        yield from _elements(file, begun, line, path, failure)
    except Malformed as error:
        raise failure(f"{path}, line {error.line}: {error}") from error


def _elements(
    file: IO[bytes], begun: bytes, line: int, path: str | Path, failure: Failure
) -> Iterator[tuple[int, str, Any]]:
    # The text from `at` on is not parsed yet, `rest` the bytes of half a character after it.
    decoder = json.JSONDecoder()
    text, rest = _decode(begun[begun.index(b"[") + 1 :], line)
    at = 0
    while True:
        start = _GAP.match(text, at).end()  # type: ignore[union-attr]
        line += text.count("\n", at, start)
        at = start
        if text.startswith("]", at):
            _check_end(text[at + 1 :].encode() + rest, file, line)
            return
        end, what, place = 0, "the array is not closed by ]", at
        try:
            if at < len(text):
                value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            what, place = error.msg, error.pos
        except (ValueError, RecursionError) as error:
            raise Malformed(f"malformed JSON ({json_limit(error)}).", line) from error
        # A value that ends where the text ends might go on in the next chunk.
        if 0 < end < len(text):
            yield line, text[at:end], value
            line += text.count("\n", at, end)
            at = end
            continue
        check_length(range(at, len(text)), LONGEST_LINE, f"{path}, line {line}", failure)
        # Doubling keeps the work linear when one element is far larger than a chunk.
        chunk = file.read(max(CHUNK, len(text) - at))
        if not chunk:
            raise Malformed(f"malformed JSON ({what}).", line + text.count("\n", at, place))
        more, rest = _decode(rest + chunk, line + text.count("\n", at))
        text, at = text[at:] + more, 0


def _check_end(data: bytes, file: IO[bytes], line: int) -> None:
    """Refuse what follows an array, another one for example: it would be left out."""
    while data:
        more = data.lstrip()
        line += data.count(b"\n", 0, len(data) - len(more))
        if more:
            raise Malformed("malformed JSON (something follows the end of the array).", line)
        data = file.read(CHUNK)


def _decode(data: bytes, line: int) -> tuple[str, bytes]:
    """The text of a chunk, and the bytes of the character in which it breaks off."""
    rest = _incomplete_tail(data)
    try:
        return data[: len(data) - len(rest)].decode(), rest
    except UnicodeDecodeError as error:
        found = not_utf8(error)
        raise Malformed(str(found), line + found.line) from error


def _incomplete_tail(data: bytes) -> bytes:
    """Return the first bytes of a character that `data` breaks off in, or nothing."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return b""
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[-back:] if needed > back else b""
    return b""
