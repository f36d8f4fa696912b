"""The queries that are searched together, and how their q-nets score blocks of vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch

from hypserini.modeling import QNet
from hypserini.search.candidates import Candidates
from hypserini.search.ranking import Cost


@dataclass(frozen=True, slots=True)
class QueryBatch:
    """Some queries: their q-nets, their ids, and their texts where they are known.

    Attributes:
        q_net: A batch of `q` q-nets.
        qids: `q` query ids.
        texts: `q` texts; None for a query that was given as a q-net.
    """

    q_net: QNet
    qids: Sequence[str]
    texts: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.qids)


class QNetScorer:
    """Holds a batch of q-nets on a device and scores the blocks that candidates hand out.

    Args:
        q_net: The q-nets of `q` queries; they are moved once.
        device: Where the scores are computed.
        dtype: The number format of the matrix products; scores come back as float32.
    """

    def __init__(
        self,
        q_net: QNet,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.q_net = q_net.to(device=device, dtype=dtype)

    def only(self, q_net: QNet) -> QNetScorer:
        """A scorer for some of its q-nets, which are where they belong already."""
        one = copy(self)
        one.q_net = q_net
        return one

    @property
    def device(self) -> torch.device:
        """Where the scores are computed."""
        return self.q_net.device

    def __call__(self, vectors: torch.Tensor, out: torch.Tensor) -> None:
        """Write the scores of `[n, dim]` vectors into `out`, `[q, n] float32` on the CPU."""
        if self.q_net.device.type == "cpu":
            self.q_net.score(vectors, out=out)
        else:
            out.copy_(self.q_net.score(vectors.to(self.q_net.device)))


TILE = 64
"""Rows that a matrix product computes alike."""


def score_block(candidates: Candidates, scorer: QNetScorer, n: int) -> float:
    """Score the `n` documents that candidates handed out; returns the milliseconds it took.

    A block that is not full is scored up to the next multiple of `TILE`, whatever lies there: a
    product rounds the rows of an odd remainder differently, and equal documents would no longer
    tie.
    """
    before = time.perf_counter()
    rows = min(-(-n // TILE) * TILE, len(candidates.vectors))
    scorer(candidates.vectors[:rows], candidates.scores[:, :rows])
    return (time.perf_counter() - before) * 1e3


def drive(candidates: Candidates, scorer: QNetScorer) -> Cost:
    """Run a search: score what the candidates hand out until they have enough.

    This loop is every kind of search; what is handed out next is the candidates' affair.

    Returns:
        The cost of the whole batch.
    """
    cost = Cost()
    started = time.perf_counter()
    while n := candidates.next():
        cost.score_ms += score_block(candidates, scorer, n)
        candidates.accept(n)
        cost.evaluations += n
        cost.rounds += 1
    cost.fetch_ms = (time.perf_counter() - started) * 1e3 - cost.score_ms
    return cost
