"""The vectors of an index in the memory of one or more devices, for a searcher's life."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from hypserini import jvm
from hypserini.index.reader import Index
from hypserini.modeling.scoring import TILE
from hypserini.search.candidates import Candidates
from hypserini.search.filters import Filter
from hypserini.search.resident.staging import Staging

ROWS_READ = 16384
"""Vectors that are read at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a field on one device.

    Attributes:
        first: The first row's number in the field.
        rows: How many there are.
        vectors: `[rows or a little more, dim]`: up to a multiple of `TILE`, so that a product
            rounds the last rows as all others; what lies there is zero.
    """

    first: int
    rows: int
    vectors: Tensor

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.vectors.device


class ResidentField:
    """The live vectors of an index, row by row in the order of the index, on one or more devices.

    Args:
        index: An opened index; it is read once.
        devices: Where the rows go, in equal shares.
        dtype: What they are kept as.
        progress: Show a bar.

    Attributes:
        index: The index.
        docs: `[n] int32`, Lucene's document number of each row, ascending.
        parts: The rows, by device.
    """

    def __init__(
        self,
        index: Index,
        devices: Sequence[torch.device],
        dtype: torch.dtype = torch.float32,
        *,
        progress: bool = False,
    ) -> None:
        self.index = index
        count = index.num_vectors
        self.docs = np.empty(count, np.int32)
        bounds = [count * number // len(devices) for number in range(len(devices) + 1)]
        self.parts = [
            Part(first, end - first, _zeros(end - first, index.dimension, dtype, device))
            for first, end, device in zip(bounds, bounds[1:], devices, strict=False)
        ]
        self._accepted: WeakKeyDictionary[Filter, Tensor] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._read(progress)

    def _read(self, progress: bool) -> None:
        rows = min(ROWS_READ, max(1, len(self.docs)))
        staging = [Staging(rows, self.index.dimension, part.device) for part in self.parts]
        row = 0
        with (
            tqdm(total=len(self.docs), desc="loading", unit=" docs", disable=not progress) as bar,
            Candidates("Scan", self.index, 1, rows, 1, 1, rows, None) as scan,
        ):
            scan.scores.zero_()
            while n := scan.next():
                self.docs[row : row + n] = scan.ordinals[:n]
                for part, stage in zip(self.parts, staging, strict=True):
                    start, end = max(row, part.first), min(row + n, part.first + part.rows)
                    if start < end:
                        stage.copy(
                            scan.vectors[start - row : end - row],
                            part.vectors[start - part.first : end - part.first],
                        )
                scan.accept(n)
                row += n
                bar.update(n)
        for stage in staging:
            stage.wait()

    def __len__(self) -> int:
        return len(self.docs)

    @property
    def dtype(self) -> torch.dtype:
        """What the vectors are kept as."""
        return self.parts[0].vectors.dtype

    @property
    def device(self) -> torch.device:
        """Where what belongs to no part is computed."""
        return self.parts[0].device

    def gather(self, rows: Tensor) -> Tensor:
        """The vectors of some rows, `[n, dim]`, on `device`.

        Args:
            rows: `[n] int64`, on the CPU.
        """
        found = torch.empty(len(rows), self.index.dimension, dtype=self.dtype, device=self.device)
        for part in self.parts:
            here = (rows >= part.first) & (rows < part.first + part.rows)
            if bool(here.all()):
                return part.vectors[(rows - part.first).to(part.device)].to(self.device)
            if bool(here.any()):
                some = part.vectors[(rows[here] - part.first).to(part.device)]
                found[here.to(self.device)] = some.to(self.device)
        return found

    def rows_of(self, docids: Sequence[str]) -> Tensor:
        """The row of each docid, `[n] int64`; -1 where no document with a vector has it."""
        packed = jvm.pack(docids)
        docs = np.asarray(self.index.java.docsOf(packed), np.int64)
        rows = np.searchsorted(self.docs, docs)
        there = rows < len(self.docs)
        there[there] = self.docs[rows[there]] == docs[there]
        return torch.from_numpy(np.where(there, rows, -1))

    def docids(self, rows: Tensor) -> list[str]:
        """The docids of some rows, in their order."""
        numbers = self.docs[rows.numpy()].astype("<i4").tobytes()
        resident = jvm.java_class("io.hypserini.Resident")
        return jvm.unpack(resident.docids(self.index.java, numbers).tostring())

    def accepted(self, filter: Filter) -> Tensor:
        """Which rows a filter lets through, `[n] bool` on the CPU; kept as long as the filter."""
        with self._lock:
            found = self._accepted.get(filter)
            if found is None:
                resident = jvm.java_class("io.hypserini.Resident")
                bits = resident.accepted(self.index.java, filter.java).tostring()
                by_doc = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
                found = torch.from_numpy(by_doc[self.docs].astype(bool))
                self._accepted[filter] = found
            return found

    def close(self) -> None:
        """Give the memory back."""
        self.parts = []
        self._accepted.clear()


def _zeros(rows: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.zeros(-(-rows // TILE) * TILE, dim, dtype=dtype, device=device)
