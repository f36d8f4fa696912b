"""What crosses the border to Java: strings packed into bytes, shared memory, reasons of errors."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**31 - 1
"""The largest number that Java's int holds; no index has more documents."""


def pack(strings: Sequence[str], errors: str = "replace") -> bytes:
    """Pack strings for Java's Texts: their number and lengths as int32, then their UTF-8 bytes."""
    encoded = [string.encode("utf-8", errors) for string in strings]
    lengths = np.fromiter((len(encoded), *map(len, encoded)), "<i4", len(encoded) + 1)
    return lengths.tobytes() + b"".join(encoded)


def pack_path(path: Path) -> bytes:
    """Pack a path; absolute, for Java keeps the working folder that Python had at its start."""
    return pack([str(path.absolute())], errors="surrogateescape")


def unpack(packed: Any) -> list[str]:
    """Unpack strings that Java's Texts packed; none of them is null."""
    return [string for string in unpack_some(packed) if string is not None]


def unpack_some(packed: Any) -> list[str | None]:
    """Unpack strings that Java's Texts packed; None where Java had null."""
    data = packed.tostring()
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


def unpack_pairs(packed: Any) -> dict[str, str]:
    """Unpack name, value, name, value, ... to a dictionary."""
    texts = unpack(packed)
    return dict(zip(texts[::2], texts[1::2], strict=True))


def reason(error: Any) -> str:
    """What to tell a user of a JavaException: its message, and its kind unless it is ours."""
    message = str(error.innermessage or "no further message")
    if error.classname == "io.hypserini.Refused":
        return message
    if error.classname == "java.lang.OutOfMemoryError":
        return f"{message}: give Java more with HYPSERINI_JAVA_OPTIONS=-Xmx16g, or the like."
    return f"{message} ({error.classname.rpartition('.')[2]})"
