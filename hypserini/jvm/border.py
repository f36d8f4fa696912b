"""What crosses the border to Java: strings packed into bytes, shared memory, reasons of errors."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hypserini.errors import IndexingError

# What Lucene throws on bytes that are not what it wrote; of a damaged file it may be any other.
_DAMAGE = ("CorruptIndexException", "EOFException", "IndexFormatTooOldException", "InternalError")
_MISSING = ("NoSuchFileException", "FileNotFoundException")
_QUERY = ("TooManyClauses", "TooManyNestedClauses", "TooComplexToDeterminizeException")
_AGAIN = "build the index again, or copy it whole."
LARGEST = 2**31 - 1
"""The largest number that Java's int holds; no index has more documents."""


def pack(strings: Sequence[str], errors: str = "replace") -> bytes:
    """Pack strings for Java's Texts: their number and lengths as int32, then their UTF-8 bytes."""
    encoded = [string.encode("utf-8", errors) for string in strings]
    lengths = np.fromiter((len(encoded), *map(len, encoded)), "<i4", len(encoded) + 1)
    return lengths.tobytes() + b"".join(encoded)


def pack_path(path: Path) -> bytes:
    """Pack a path; absolute, for Java keeps the working folder that Python had at its start."""
    return pack_paths([path])


def pack_paths(paths: Sequence[Path]) -> bytes:
    """Pack several, as `pack_path` does one."""
    return pack([str(path.absolute()) for path in paths], errors="surrogateescape")


# Bytes that Java returns are taken over at the call, `java.hits(0).tostring()`: pyjnius' ByteArray
# ends the process where the garbage collector frees it, as part of an error's traceback.


def unpack(data: bytes) -> list[str]:
    """Unpack strings that Java's Texts packed; none of them is null."""
    return [string for string in unpack_some(data) if string is not None]


def unpack_some(data: bytes) -> list[str | None]:
    """Unpack strings that Java's Texts packed; None where Java had null."""
    count = int.from_bytes(data[:4], "little")
    lengths = np.frombuffer(data, "<i4", count, 4)
    first = 4 * (count + 1)
    starts = (first + np.concatenate([[0], np.cumsum(lengths.clip(0))])).tolist()
    return [
        None if length < 0 else data[start:end].decode("utf-8")
        for length, (start, end) in zip(lengths.tolist(), pairwise(starts), strict=True)
    ]


def shared_array(buffer: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """View a Java SharedBuffer as an array; the view keeps the memory alive."""
    count = math.prod(shape)
    memory = _memory(count * np.dtype(dtype).itemsize).from_address(buffer.address())
    memory.java_buffer = buffer
    return np.frombuffer(memory, dtype, count).reshape(shape)


@lru_cache(256)
def _memory(size: int) -> Any:
    # A subclass has attributes, a plain ctypes array has none.
    return type("SharedMemory", (ctypes.c_char * size,), {})


def unpack_pairs(data: bytes) -> dict[str, str]:
    """Unpack name, value, name, value, ... to a dictionary."""
    texts = unpack(data)
    return dict(zip(texts[::2], texts[1::2], strict=True))


def reason(error: Any) -> str:
    """The end of a sentence for a user, about a JavaException: its message, and what to do."""
    message = " ".join(str(error.innermessage or "no further message").split()).rstrip(".")
    kind = _kind(error)
    if kind == "Refused":
        return f"{message}."
    if kind == "OutOfMemoryError":
        return f"{message}: give Java more with HYPSERINI_JAVA_OPTIONS=-Xmx16g, or the like."
    if kind in _QUERY:
        return f"the query asks too much of Lucene ({message}): shorten it."
    if kind in _MISSING:
        return f"the file {message} is missing: {_AGAIN}"
    if kind in _DAMAGE:
        return f"its files are damaged ({message}): {_AGAIN}"
    return f"{message} ({kind})."


@contextmanager
def reading(path: Path, what: str = "the index {} cannot be read") -> Iterator[None]:
    """Turn what Java throws inside, while an index is read, into an error that names the index.

    Args:
        path: The index.
        what: How the message begins, with `{}` for the path.

    Raises:
        IndexingError: The index is damaged, a file of it is gone, Java lacks memory or refuses.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # of what Java handed out
        begins = what.format(path)
        raise IndexingError(f"{begins}: its files are damaged ({error}): {_AGAIN}") from error
    except Exception as error:
        if not _is_javas(error):
            raise
        if _kind(error) == "AlreadyClosedException":
            raise IndexingError(f"the index {path} was closed: open it again.") from error
        raise IndexingError(f"{what.format(path)}: {_why_unreadable(error)}") from error


def _why_unreadable(error: Any) -> str:
    said = reason(error)
    if not said.endswith(")."):
        return said
    # Lengths and offsets that make no sense end in exceptions of any kind.
    return f"{said[:-1]}; if its files are damaged, {_AGAIN}"


def _kind(error: Any) -> str:
    return str(error.classname).rpartition(".")[2].rpartition("$")[2]


def _is_javas(error: Exception) -> bool:
    jnius = sys.modules.get("jnius")
    return jnius is not None and isinstance(error, jnius.JavaException)
