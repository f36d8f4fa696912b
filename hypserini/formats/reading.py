"""Reading files of text: one way to open, to decode and to clean them, and one set of errors.

Text is UTF-8, with a byte-order mark or without, and unpacked where the name ends in `.gz`. What
parses a line or a value raises `Malformed`, which knows neither file nor room; whoever knows them
makes it the error of that room, with the place before it.
"""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from hypserini.errors import HypseriniError, shown

LONGEST_LINE = 64 << 20
"""Bytes of a line: one that never ends must not fill the memory."""
LARGEST_TEXT = 256 << 20
"""Bytes of a file that is read whole."""
LONGEST_ID = 8191
"""Characters of an id; Lucene takes terms of 32,766 bytes."""
_BLOCK = 1 << 20
BOM = b"\xef\xbb\xbf"

Failure = type[HypseriniError]


class Malformed(HypseriniError):
    """What is wrong with a line or a value, not where; `line` counts from the first of them."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@contextmanager
def reading(path: str | os.PathLike[str], failure: Failure, what: str = "file") -> Iterator[None]:
    """Make what the operating system or gzip raises of a file an error of the caller's.

    Args:
        path: the file.
        failure: what to raise.
        what: what the file is to the user ("run", "qrels file").
    """
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise failure(f"{path} is a damaged gzip file ({error}): obtain it again.") from error
    except FileNotFoundError as error:
        raise failure(f"the {what} {path} does not exist.") from error
    except OSError as error:
        raise failure(f"the {what} {path} cannot be read ({error.strerror or error}).") from error


@contextmanager
def placed(place: str, failure: Failure) -> Iterator[None]:
    """Make `Malformed` an error of the caller's that says the place."""
    try:
        yield
    except Malformed as error:
        raise failure(f"{place}: {error}") from error


def open_bytes(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file for reading; what is in a `.gz` is unpacked, all members of it."""
    if "\0" in os.fspath(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return gzip.open(path, "rb") if is_packed(path) else open(path, "rb")  # type: ignore[return-value]


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Whether a file is gzipped, by its name."""
    return os.fspath(path).endswith(".gz")


def bounded_lines(
    file: IO[bytes], path: str | os.PathLike[str], failure: Failure, first: int = 1
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of an open file as they are, with their numbers; the first has `first`.

    Raises:
        failure: a line is longer than LONGEST_LINE.
    """
    lines = iter(partial(file.readline, LONGEST_LINE + 1), b"")
    for number, line in enumerate(lines, first):
        if len(line) > LONGEST_LINE:
            check_length(line, LONGEST_LINE, f"{path}, line {number}", failure)
        yield number, line


def check_length(data: Sized, most: int, place: str, failure: Failure) -> None:
    """Refuse what is longer than `most`; nothing beyond that is read."""
    if len(data) > most:
        raise failure(f"{place}: longer than {most >> 20} MiB: split it, or mend its line breaks.")


def read_lines(
    path: str | os.PathLike[str], failure: Failure, what: str = "file"
) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, clean, with their numbers and without line breaks.

    Args:
        path: the file.
        failure: what to raise.
        what: what the file is to the user ("run", "qrels file").

    Raises:
        failure: the file is missing, unreadable or damaged, or a line is too long or not UTF-8.
    """
    number = 1
    with reading(path, failure, what), open_bytes(path) as file:
        for block in _blocks(_chunks(file)):
            check_length(block, LONGEST_LINE + _BLOCK, f"{path}, line {number}", failure)
            try:
                for line in _texts(block):
                    if line and not line.isspace():
                        yield number, line
                    number += 1
            except Malformed as error:
                raise failure(f"{path}, line {number}: {error}") from error


def read_chunks(
    path: str | os.PathLike[str], failure: Failure, what: str = "file"
) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked, a chunk at a time; see `reading` for the errors."""
    with reading(path, failure, what), open_bytes(path) as file:
        yield from _chunks(file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_BLOCK):
        yield chunk


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that are whole, about as many as _BLOCK holds; of a line without end, its beginning."""
    rest = b""
    for chunk in chunks:
        rest, end = rest + chunk, chunk.rfind(b"\n") + 1
        if end or len(rest) > LONGEST_LINE + _BLOCK:
            end = len(rest) - len(chunk) + end if end else len(rest)
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _texts(block: bytes) -> Iterator[str]:
    """The lines of a block, decoded together for speed, or one by one up to what is no UTF-8."""
    block = block.removesuffix(b"\n")
    try:
        text = block.decode()
    except UnicodeDecodeError:
        yield from map(decode, block.split(b"\n"))
        return
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\ufeff" in text:  # files put together have marks within
        text = text.removeprefix("\ufeff").replace("\n\ufeff", "\n")
    yield from clean(text).split("\n")


def read_text(path: str | os.PathLike[str], failure: Failure, what: str = "file") -> str:
    """Return the whole text of a file, its line breaks as LF; see `read_lines` for the errors."""
    with reading(path, failure, what), open_bytes(path) as file:
        data = file.read(LARGEST_TEXT + 1)
    check_length(data, LARGEST_TEXT, str(path), failure)
    try:
        text = decode(data)
    except Malformed as error:
        raise failure(f"{path}, line {1 + error.line}: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_json(path: str | os.PathLike[str], failure: Failure, what: str = "file") -> Any:
    """Return the value that a file of JSON holds; see `read_lines` for the errors."""
    text = read_text(path, failure, what)
    try:
        return parse_json(text)
    except Malformed as error:
        raise failure(f"{path}, line {1 + error.line}: {error}") from error


def decode(data: bytes) -> str:
    """Return a line, or a text, without its byte-order mark.

    Raises:
        Malformed: it is not UTF-8.
    """
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise not_utf8(error) from error


def not_utf8(error: UnicodeDecodeError) -> Malformed:
    """What is wrong with bytes that cannot be decoded."""
    data = error.object
    if data.startswith(b"\x1f\x8b"):
        return Malformed("gzipped, which its name does not say: end it in .gz.")
    return Malformed(
        f"not UTF-8 (byte {data[error.start]:#04x}): convert the file to UTF-8.",
        data.count(b"\n", 0, error.start),
    )


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        Malformed: it is no JSON, nested too deeply, or holds a number of thousands of digits.
    """
    if isinstance(text, bytes):
        text = decode(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"malformed JSON ({error.msg} at column {error.colno}).", error.lineno - 1
        ) from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"malformed JSON ({json_limit(error)}).") from error


def json_limit(error: Exception) -> str:
    """Which limit of Python's JSON reader an error other than its own is about."""
    nested = isinstance(error, RecursionError)
    return "nested too deeply" if nested else "a number has thousands of digits"


def clean(text: str) -> str:
    r"""Replace by U+FFFD what UTF-8 or C cannot hold: `\ud83d` alone, half of a pair, and NUL."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def check_id(value: object) -> str:
    """Return `value` as the id of a document or a query; whole numbers become strings.

    Raises:
        Malformed: no string or whole number, or an id that a run file could not hold.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 13_000:
        value = str(value)
    if not isinstance(value, str):
        raise Malformed(f"the id is not a string or a whole number but {shown(value)}.")
    if not value.strip():
        raise Malformed("the id is empty.")
    if value.split() != [value]:
        raise Malformed(
            f"the id {shown(value)} contains white space, which a run file cannot hold: replace "
            "it, by _ for example."
        )
    if len(value) > LONGEST_ID:
        raise Malformed(f"the id {shown(value)} is longer than {LONGEST_ID:,} characters.")
    return clean(value)


def parse_number(what: str, text: str) -> float:
    """Return the number that a column holds; `what` names it.

    Raises:
        Malformed: it is no number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or "_" in text:
        raise Malformed(f"the {what} {shown(text)} is not a number.")
    return value


def check_number(what: str, value: object) -> float:
    """Return a number of JSON as a float; `what` names it.

    Raises:
        Malformed: it is no number, or too large for one.
    """
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    if math.isnan(number):
        raise Malformed(f"the {what} {shown(value)} is not a number.")
    return number


def is_file(path: str | Path) -> bool:
    """Whether something that is not a folder lies at a path; no text is too long to ask."""
    return os.path.exists(path) and not os.path.isdir(path)
