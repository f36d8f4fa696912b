"""The vectors of an index in the memory of one or more devices, for a searcher's life."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from hypserini import jvm
from hypserini.index.reader import Index
from hypserini.index.resources import all_cores
from hypserini.jvm.threads import side_by_side
from hypserini.modeling.scoring import TILE
from hypserini.search.filters import Filter
from hypserini.search.resident.products import lengths_of
from hypserini.search.resident.staging import Staging
from hypserini.search.scan import Scan

ROWS_READ = 16384
"""Vectors that are read at once."""

READERS = 4
"""Threads that read, at most: one alone does not fill the way to a GPU."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a field on one device.

    Attributes:
        first: The first row's number in the field.
        rows: How many there are.
        vectors: `[rows or a little more, dim]`: up to a multiple of `TILE`, so that a product
            rounds the last rows as all others; what lies there is zero.
        places: `[rows] int32`, where the row's docid stands among all, in their order.
        lengths: `[rows] float32`, of the vectors as they are kept.
    """

    first: int
    rows: int
    vectors: Tensor
    places: Tensor
    lengths: Tensor

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
        places: `[n] int32`, where the docid of each row stands among all, in their order.
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
        vectors = [
            _zeros(end - first, index.dimension, dtype, device)
            for first, end, device in zip(bounds, bounds[1:], devices, strict=False)
        ]
        self._read(vectors, bounds, progress)
        self._in_order = self._order()
        places = torch.empty(count, dtype=torch.int32)
        places[self._in_order] = torch.arange(count, dtype=torch.int32)
        self.places = places
        self.parts = [
            Part(
                first,
                end - first,
                some,
                places[first:end].to(some.device),
                lengths_of(some[: end - first]),
            )
            for first, end, some in zip(bounds, bounds[1:], vectors, strict=False)
        ]
        self._accepted: WeakKeyDictionary[Filter, Tensor] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def _read(self, vectors: Sequence[Tensor], bounds: Sequence[int], progress: bool) -> None:
        """Read all rows, some threads a share of their own each."""
        count = len(self.docs)
        readers = max(1, min(READERS, all_cores(), count // ROWS_READ))
        shares = pairwise(count * number // readers for number in range(readers + 1))
        with tqdm(total=count, desc="loading", unit=" docs", disable=not progress) as bar:
            read = partial(self._read_share, vectors=vectors, bounds=bounds, bar=bar)
            for _ in side_by_side(read, shares, readers, "hypserini-loading"):
                pass

    def _read_share(
        self,
        share: tuple[int, int],
        vectors: Sequence[Tensor],
        bounds: Sequence[int],
        bar: tqdm,
    ) -> None:
        """Read a share of the rows, from its first to before its last, each to its device."""
        start, end = share
        rows = min(ROWS_READ, max(1, end - start))
        staging = [Staging(rows, self.index.dimension, some.device) for some in vectors]
        row = start
        with Scan(self.index, 1, 1, rows) as scan:
            scan.skip(start)
            while row < end and (n := min(scan.next(), end - row)):
                self.docs[row : row + n] = scan.ordinals[:n]
                for first, after, some, stage in zip(
                    bounds, bounds[1:], vectors, staging, strict=False
                ):
                    a, b = max(row, first), min(row + n, after)
                    if a < b:
                        stage.copy(scan.vectors[a - row : b - row], some[a - first : b - first])
                row += n
                bar.update(n)
        for stage in staging:
            stage.wait()

    def _order(self) -> Tensor:
        """The rows in the order of their docids, `[n] int64`."""
        resident = jvm.java_class("io.hypserini.Resident")
        all_in_order = np.frombuffer(resident.inOrder(self.index.java).tostring(), "<i4")
        row_of = np.full(len(all_in_order), -1, np.int64)
        row_of[self.docs] = np.arange(len(self.docs))
        rows = row_of[all_in_order]
        return torch.from_numpy(rows[rows >= 0])

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

    def rows_at(self, places: Tensor) -> Tensor:
        """The rows whose docids stand at some places among all, `[n] int64` on the CPU."""
        return self._in_order[places.cpu()]

    def rows_of_docs(self, docs: np.ndarray) -> Tensor:
        """The rows of Lucene's document numbers, all of which have a vector."""
        return torch.from_numpy(np.searchsorted(self.docs, docs))

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


def filled_up(rows: Tensor) -> Tensor:
    """Rows `[..., n]` up to a multiple of `TILE`, the first of them again, to be scored alike."""
    missing = -rows.shape[-1] % TILE
    return torch.cat([rows, rows[..., :1].expand(*rows.shape[:-1], missing)], dim=-1)


def _zeros(rows: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.zeros(-(-rows // TILE) * TILE, dim, dtype=dtype, device=device)
