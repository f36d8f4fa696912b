"""The queries that are searched together, and how their q-nets score blocks of vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import torch

from hypserini.modeling import QNet
from hypserini.modeling.devices import AUTO, choose_dtype
from hypserini.modeling.fitting import Fitting
from hypserini.modeling.scoring import TILE
from hypserini.search.ranking import Cost
from hypserini.search.resident.field import ResidentField


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
        dtype: The number format of the matrix products, as `choose_dtype` takes it; scores come
            back as float32.
        field: The vectors, where they lie on devices already: there it is multiplied.
    """

    def __init__(
        self,
        q_net: QNet,
        *,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = AUTO,
        field: ResidentField | None = None,
    ) -> None:
        self.field = field
        kept = None
        if field is not None:
            device, kept = field.device, field.dtype
        device = torch.device(device)
        self.q_net = q_net.to(device=device, dtype=choose_dtype(dtype, device, kept))
        self._elsewhere: dict[torch.device, QNet] = {}
        self._fitting = Fitting("documents", TILE)

    def only(self, q_net: QNet) -> QNetScorer:
        """A scorer for some of its q-nets, which are where they belong already."""
        one = copy(self)
        one.q_net = q_net
        one._elsewhere = {}
        return one

    @property
    def device(self) -> torch.device:
        """Where the scores are computed."""
        return self.q_net.device

    def __call__(self, vectors: torch.Tensor, out: torch.Tensor) -> None:
        """Write the scores of `[n, dim]` vectors into `out`, `[q, n] float32`, on any device."""
        if self.field is None and self.device.type == "cpu":
            self.q_net.score(vectors, out=out)
        else:
            self._fitting.run(
                lambda start, end: self._score(vectors[start:end], out[:, start:end]), len(vectors)
            )

    def _score(self, vectors: torch.Tensor, out: torch.Tensor) -> None:
        if self.field is not None:
            self._on(vectors.device).score(vectors, out=out)
        else:
            out.copy_(self.q_net.score(vectors.to(self.q_net.device)))

    def _on(self, device: torch.device) -> QNet:
        """The q-nets on a device that has some of the field."""
        if device == self.q_net.device:
            return self.q_net
        if device not in self._elsewhere:
            self._elsewhere[device] = self.q_net.to(device=device)
        return self._elsewhere[device]


class HandsOut(Protocol):
    """What hands out documents to be scored: `Candidates`, or those of a resident field."""

    vectors: torch.Tensor
    scores: torch.Tensor

    def next(self) -> int:
        """Hand out the next documents; returns how many, 0 when there are no more."""

    def accept(self, n: int) -> None:
        """Take the scores of the first `n` documents handed out."""


def score_block(candidates: HandsOut, scorer: QNetScorer, n: int) -> float:
    """Score the `n` documents that candidates handed out; returns the milliseconds it took.

    A block that is not full is scored up to the next multiple of `TILE`, whatever lies there: a
    product rounds the rows of an odd remainder differently, and equal documents would no longer
    tie.
    """
    before = time.perf_counter()
    rows = min(-(-n // TILE) * TILE, len(candidates.vectors))
    scorer(candidates.vectors[:rows], candidates.scores[:, :rows])
    return (time.perf_counter() - before) * 1e3


def drive(candidates: HandsOut, scorer: QNetScorer) -> Cost:
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
