"""Reading files of text: one way to open them, one limit of lines, and one set of errors.

Text is UTF-8, with a byte-order mark or without, and unpacked where the name ends in `.gz`. What
is wrong with a file is raised as the error of the caller's room.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from hypserini.errors import HypseriniError, shown
from hypserini.formats.values import Malformed, clean, decode, parse_json

LONGEST_LINE = 64 << 20
"""Bytes of a line: one that never ends must not fill the memory."""
LARGEST_TEXT = 256 << 20
"""Bytes of a file that is read whole."""
_BLOCK = 1 << 20

Failure = type[HypseriniError]


@contextmanager
def reading(path: str | os.PathLike[str], failure: Failure, what: str = "file") -> Iterator[None]:
    """Make what the operating system or gzip raises of a file an error of the caller's.

    Args:
        path: the file.
        failure: what to raise.
        what: what the file is to the user ("run", "qrels file").
    """
    if "\0" in os.fspath(path):
        raise failure(f"the {what} {shown(os.fspath(path))} does not exist.")
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
            if len(block) > LONGEST_LINE + _BLOCK:
                check_length(block, LONGEST_LINE, f"{path}, line {number}", failure)
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
    try:
        text = block.decode()
    except UnicodeDecodeError:
        yield from map(decode, block.splitlines())
        return
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\ufeff" in text:  # files put together have marks within
        text = text.removeprefix("\ufeff").replace("\n\ufeff", "\n")
    yield from clean(text).removesuffix("\n").split("\n")


def read_text(
    path: str | os.PathLike[str], failure: Failure, what: str = "file", most: int = LARGEST_TEXT
) -> str:
    """Return the whole text of a file, of so many bytes at most, its line breaks as LF.

    See `read_lines` for the errors.
    """
    with reading(path, failure, what), open_bytes(path) as file:
        data = file.read(most + 1)
    check_length(data, most, str(path), failure)
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


def is_file(path: str | Path) -> bool:
    """Whether something that is not a folder lies at a path; no text is too long to ask."""
    return os.path.exists(path) and not os.path.isdir(path)
