"""A field that does not fit a device: read from the index block by block, ahead of the scoring."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from heapq import merge
from itertools import islice
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hypserini.index.reader import Index
from hypserini.jvm.threads import detached
from hypserini.modeling.scoring import TILE
from hypserini.search.filters import Filter
from hypserini.search.scan import Scan

SCANS = 2
"""That hand out blocks in turn: of one the block is scored, of the next one it is read."""


class Stream:
    """Hands out every live vector of an index once, on a device that has no room for all.

    While a block is scored, a thread reads the next one and copies it to the device. Arguments as
    of `Scan`, with a device.

    Attributes:
        vectors: `[n or a little more, dim]`, those handed out, up to a multiple of `TILE`.
        scores: `[queries, as many] float32`, to be filled by the caller.
    """

    vectors: Tensor
    scores: Tensor

    def __init__(
        self,
        index: Index,
        queries: int,
        k: int,
        block: int,
        device: torch.device,
        filter: Filter | None = None,
    ) -> None:
        self._k = k
        self._block = -(-block // TILE) * TILE
        self._device = device
        self._scans: list[Scan] = []
        self._reader = ThreadPoolExecutor(1, "hypserini-stream")
        self._turn = 0
        try:
            for number in range(SCANS):
                self._scans.append(Scan(index, queries, k, self._block, filter))
                self._scans[number].skip(number * self._block)
            self._coming = self._read(self._scans[0])
        except BaseException:
            self.close()
            raise

    def _read(self, scan: Scan) -> Future[tuple[int, Tensor]]:
        return self._reader.submit(detached(self._copied), scan)

    def _copied(self, scan: Scan) -> tuple[int, Tensor]:
        n = scan.next()
        return n, scan.vectors[: -(-n // TILE) * TILE].to(self._device)

    def next(self) -> int:
        """Hand out the next documents; returns how many, 0 when there are no more."""
        n, self.vectors = self._coming.result()
        self._current = self._scans[self._turn]
        if n:
            self._turn = (self._turn + 1) % SCANS
            self._coming = self._read(self._scans[self._turn])
            queries = len(self._current.scores)
            self.scores = torch.empty(queries, len(self.vectors), device=self._device)
        return n

    def accept(self, n: int) -> None:
        """Take the scores of the first `n` documents handed out."""
        self._current.scores[:, :n] = self.scores[:, :n]
        self._current.accept(n)
        self._current.skip((SCANS - 1) * self._block)  # what the others hand out

    def hits(self, query: int) -> tuple[list[str], np.ndarray]:
        """Rank the documents of a query, ties by docid: docids, and their scores `[n] float32`."""
        ranked = [zip(*scan.hits(query), strict=True) for scan in self._scans]
        best = list(islice(_merged(ranked), self._k))
        scores = np.array([score for _, score in best], np.float32)
        return [docid for docid, _ in best], scores

    def close(self) -> None:
        """Give the memory back, when the block that is being read is."""
        self._reader.shutdown()
        for scan in self._scans:
            scan.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _merged(ranked: Iterable[Iterable[tuple[str, float]]]) -> Iterable[tuple[str, float]]:
    """Rankings as one: docids in UTF-8 are ordered as Java orders them."""
    return merge(*ranked, key=lambda one: (-one[1], one[0].encode()))
