"""Faiss indexes that hold vectors as they are, read without Faiss.

Faiss ends the process where it cannot give back a vector, and holds an index whole in memory; the
vectors of a flat one lie in its file in a row, and are mapped from there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from hypserini.formats.reading import open_bytes
from hypserini.formats.values import Malformed

_FLAT = (b"IxFI", b"IxF2", b"IxFl")
_ID_MAP = (b"IxMp", b"IxM2")
_HNSW_FLAT = b"IHNf"
# The arrays of a graph, by the bytes of an element: probabilities, neighbors up to a level, levels,
# offsets, neighbors; after them five numbers.
_GRAPH = (8, 4, 4, 8, 4)
_GRAPH_END = 20


@dataclass(frozen=True, slots=True)
class FlatIndex:
    """What an index holds.

    Attributes:
        vectors: `[n, dim] float32`, mapped.
        ids: `[n] int64`, the number by which a search gives each vector; None: their positions.
    """

    vectors: np.ndarray
    ids: np.ndarray | None


def read_flat_index(path: Path) -> FlatIndex:
    """Map an IndexFlat, an IndexHNSWFlat, or one of these within an IndexIDMap.

    Raises:
        Malformed: the file is damaged, or an index of another kind.
        OSError: it cannot be read.
    """
    with open_bytes(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        cursor = _Cursor(file, size)
        kind = cursor.read(4)
        ids = None
        if kind in _ID_MAP:
            _, count, _ = cursor.header()
            offset, shape = _flat(cursor, cursor.read(4))
            number = cursor.number()
            if number != count or count != shape[0]:
                raise Malformed(f"damaged: {number:,} ids for {shape[0]:,} vectors.")
            ids = np.frombuffer(cursor.read(8 * count), dtype="<i8")
        else:
            offset, shape = _flat(cursor, kind)
    if not shape[0]:
        return FlatIndex(np.empty(shape, np.float32), ids)
    return FlatIndex(np.memmap(path, "<f4", "r", offset, shape), ids)


def _flat(cursor: _Cursor, kind: bytes) -> tuple[int, tuple[int, int]]:
    """Where the vectors of a flat index begin, and their shape; the cursor is behind them then."""
    if kind not in (*_FLAT, _HNSW_FLAT):
        if not kind.isalnum() or kind[:1] != b"I":
            raise Malformed("not a Faiss index.")
        raise Malformed(
            f"a Faiss index of the kind {kind.decode()}, whose vectors are compressed or lie "
            "otherwise: give an IndexFlat or an IndexHNSWFlat (also within an "
            "IndexIDMap), or the vectors as .npy with docids.txt."
        )
    dimension, count, _ = cursor.header()
    if kind == _HNSW_FLAT:
        for width in _GRAPH:
            cursor.skip(width * cursor.number())
        cursor.skip(_GRAPH_END)
        kind = cursor.read(4)
        if kind == _HNSW_FLAT:
            raise Malformed("damaged: a graph within a graph.")
        return _flat(cursor, kind)
    numbers = cursor.number()
    if dimension < 1 or numbers != count * dimension:
        raise Malformed(
            f"damaged: {numbers:,} numbers for {count:,} vectors of {dimension:,} components."
        )
    offset = cursor.at
    cursor.skip(4 * numbers)
    return offset, (count, dimension)


class _Cursor:
    """Reads a file in turn and goes no further than it does."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self.at = 0

    def skip(self, count: int) -> None:
        if count > self._size - self.at:
            raise Malformed("damaged: it ends too early.")
        self.at += count

    def read(self, count: int) -> bytes:
        self._file.seek(self.at)
        self.skip(count)
        return self._file.read(count)

    def number(self) -> int:
        return struct.unpack("<Q", self.read(8))[0]

    def header(self) -> tuple[int, int, int]:
        """What every index begins with: dimension, number of vectors, metric."""
        dimension, count, _, _, _, metric = struct.unpack("<iqqq?i", self.read(33))
        if metric > 1:
            self.skip(4)  # the metric's argument
        if count < 0:
            raise Malformed(f"damaged: {count:,} vectors.")
        return dimension, count, metric
