"""Tangent search: the gradient of a q-net steers Lucene's vector search to what it will like.

A trained q-net is nearly linear over a corpus, so that its gradient, used as a query vector, orders
documents almost as the q-net does. The mean of its gradients at a few documents from all over the
corpus tells where to look first; the nearest unseen documents are scored by the q-net; their scores
bend the direction to where the best are (`slope.py`), and so on until the best k no longer change.

The mean of the gradients is the better linear view: for vectors that are spread normally, it is the
linear regression of the scores (Stein's lemma), where the gradient at their mean is the slope at a
point where no document is. q-nets differ in what they make of a vector's length. The few documents
tell that, too: where their scores follow the angle with the direction more closely than the inner
product, documents are ranked by the angle.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.reader import SOME, Index
from hypserini.modeling import QNet
from hypserini.modeling.workers import one_thread
from hypserini.search.candidates import Candidates
from hypserini.search.costs import spread
from hypserini.search.filters import Filter, count_searched, java_of
from hypserini.search.modes.exhaustive import ExhaustiveOptions, search_exhaustively
from hypserini.search.modes.slope import Slope
from hypserini.search.modes.steering import steer
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Cost, Hits
from hypserini.search.resident.candidates import ResidentNearest
from hypserini.search.scorer import TILE, QNetScorer, QueryBatch, score_block

ROUNDS = 8
"""At most: the first that brings nothing among the best is the last."""

MOSTLY = 3
"""So many rounds a search takes mostly."""

TELLING = 10
"""So many of the best have to stay, though fewer are wanted, for a round to be the last."""

WORTH_SHARING = 50_000_000
"""Multiplications of a round from which on they are shared out to all threads."""


class Nearest(Candidates):
    """Hands out, each time, the unseen documents nearest to a direction: tangent search, one query.

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out at once, at most.
        filter: Leaves out all other documents.
        position: The query's place in its batch, for errors.

    Attributes:
        direction: `[dim] float32`, to be filled before `fetch`.
    """

    def __init__(
        self,
        index: Index,
        k: int,
        block: int,
        filter: Filter | None = None,
        position: int = 0,
    ) -> None:
        if min(k, block) < 1:
            raise ValueError(f"k ({k}) and block ({block}) must be at least 1")
        super().__init__("Nearest", index, 1, block, k, block, java_of(filter))
        self._first_query = position
        self.direction = self._tensor(self._java.direction(), (index.dimension,))

    def fetch(self, count: int, ef: int, by_angle: bool = False, by_format: bool = False) -> int:
        """Hand out the up to `count` unseen documents with the largest inner products.

        Args:
            count: How many, at most a block.
            ef: Documents that the vector search keeps while it looks for them.
            by_angle: Rank by the cosine with the direction.
            by_format: By Lucene's own search, that is, by the field's similarity.

        Returns:
            How many there are; 0 when every document was handed out.
        """
        kept = min(ef, jvm.LARGEST)
        self._java.fetch(count, kept, by_angle, by_format)
        return self.next()

    def entered(self) -> int:
        """How many of the documents accepted last are among the best k now."""
        return int(self._java.entered(0))


@dataclass(frozen=True, slots=True)
class TangentOptions:
    """How far a tangent search goes; what is None follows k.

    Attributes:
        fetch: Documents scored a round.
        rounds: Rounds at most.
        ef: Documents kept by the vector search of the first round: more find what is nearest more
            surely. By default as many as three rounds fetch.
        max_scored: Documents scored a query, at most. As many as there are: exhaustive search.
        stable: The share of the best k that a round may still change to be the last; below 0, none
            is the last before all rounds are done. By default one in 200: of 100 hits, none.
        steering: Search for them by the `format`, or by raw `floats`; by default what suits the
            index better.
    """

    fetch: int | None = None
    rounds: int | None = None
    ef: int | None = None
    max_scored: int | None = None
    stable: float = 0.005
    steering: Literal["format", "floats"] | str | None = None

    def __post_init__(self) -> None:
        if self.steering not in (None, "format", "floats"):
            raise ValueError(f"steering is {self.steering!r} and must be 'format' or 'floats'")
        check_range(1, fetch=self.fetch, rounds=self.rounds, ef=self.ef)
        check_range(1, max_scored=self.max_scored)
        check_range(-1, 1, stable=self.stable)

    def follow(self, k: int) -> Plan:
        """The numbers for `k` hits."""
        fetch = self.fetch or TILE * math.ceil(max(30 * math.sqrt(k), 0.98 * k) / TILE)
        rounds = self.rounds or ROUNDS
        return Plan(
            fetch=fetch,
            rounds=rounds,
            ef=max(fetch, self.ef or MOSTLY * fetch),
            wide_ef=max(fetch, self.ef or math.ceil(1000 * math.sqrt(k))),
            first=first_points(self.max_scored),
            max_scored=self.max_scored or SOME + fetch * rounds,
            expected=self.max_scored or SOME + fetch * min(rounds, MOSTLY),
            stable=int(self.stable * k),
            steering=self.steering,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a search for a certain k; as in `TangentOptions`, `stable` in documents.

    Attributes:
        wide_ef: `ef` where the graph was built by another similarity than the scores follow.
        first: Documents scored to know where to look first.
        expected: Documents scored, mostly.
    """

    fetch: int
    rounds: int
    ef: int
    wide_ef: int
    first: int
    max_scored: int
    expected: int
    stable: int
    steering: str | None

    def within(self, documents: int) -> Plan:
        """The same, without looking for more than there is in an index of so many documents."""
        most = max(1, documents)
        return replace(
            self,
            fetch=min(self.fetch, most),
            ef=min(self.ef, most),
            wide_ef=min(self.wide_ef, most),
        )


def search_by_tangents(
    index: Index,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    options: TangentOptions,
    filter: Filter | None = None,
) -> list[Hits]:
    """Rank the documents that tangent search finds for each query of a batch.

    Where it would score about all documents that may be returned, it is exhaustive and exact.

    Raises:
        IndexingError: The budget does not go beyond the documents that tell where to look.
    """
    plan = options.follow(k).within(index.num_vectors)
    if plan.expected >= count_searched(index, filter):
        return search_exhaustively(index, batch, k, scorer, ExhaustiveOptions(), filter)
    if plan.max_scored <= SOME:
        raise IndexingError(
            f"tangent search scores {SOME} documents to know where to look, and may score"
            f" {plan.max_scored} in all: allow more (--max-scored), or search by graph."
        )
    shapes = scorer.q_net.config.matrix_shapes
    work = plan.fetch * sum(rows * columns for rows, columns in shapes)
    with one_thread() if work < WORTH_SHARING else nullcontext():
        return [
            _search(index, q_net, k, scorer, plan, filter, position)
            for position, q_net in enumerate(scorer.q_net)
        ]


def _search(
    index: Index,
    q_net: QNet,
    k: int,
    scorer: QNetScorer,
    plan: Plan,
    filter: Filter | None,
    position: int,
) -> Hits:
    scorer = scorer.only(q_net)
    cost = Cost(mode="tangent")
    started = time.perf_counter()
    block = -(-min(plan.fetch, plan.max_scored) // TILE) * TILE
    first = first_tangent(index, q_net, plan.first)
    cost.evaluations += first.evaluations
    cost.score_ms += first.milliseconds
    steering = steer(index, first.by_angle, plan.steering)
    ef = plan.ef if steering.fits else plan.wide_ef
    slope = Slope(first.direction, by_angle=first.by_angle)
    nearest: Nearest | ResidentNearest
    kept = max(k, TELLING)
    if scorer.field is None:
        nearest = Nearest(index, kept, block, filter, position)
    else:
        nearest = ResidentNearest(scorer.field, kept, block, filter, position)
    with nearest:
        for _ in range(plan.rounds):
            nearest.direction[:] = steering.aim(slope.direction)
            count = min(plan.fetch, plan.max_scored - cost.evaluations)
            # The first search is wide; the next ones look around what is best now.
            width = count if cost.rounds else ef
            n = nearest.fetch(count, width, steering.by_angle, steering.by_format)
            if not n:
                break
            cost.score_ms += score_block(nearest, scorer, n)
            nearest.accept(n)
            cost.evaluations += n
            cost.rounds += 1
            if cost.evaluations >= plan.max_scored or nearest.entered() <= plan.stable:
                break
            before = time.perf_counter()
            slope.learn(nearest.vectors[:n], nearest.scores[0, :n])
            cost.score_ms += (time.perf_counter() - before) * 1e3
        hits = Hits.of(nearest.hits(0), cost)
    del hits[k:]
    cost.fetch_ms = (time.perf_counter() - started) * 1e3 - cost.score_ms
    return hits


@dataclass(frozen=True, slots=True)
class FirstTangent:
    """Where to look first.

    Attributes:
        direction: `[dim] float32`, the mean of the gradients at documents from all over the corpus:
            scores grow about by its product with a vector, or with one of length 1.
        by_angle: Scores follow the angle with the direction, not the inner product.
        evaluations: Documents scored to know that.
        milliseconds: What that took.
    """

    direction: torch.Tensor
    by_angle: bool
    evaluations: int
    milliseconds: float


def first_points(max_scored: int | None) -> int:
    """How many documents tell where to look first: of a budget, half at most."""
    return SOME if max_scored is None else min(SOME, max(1, max_scored // 2))


def first_tangent(index: Index, q_net: QNet, points: int) -> FirstTangent:
    """The direction in which the scores of one q-net grow over the whole corpus.

    It is taken at `points` documents, spread evenly over the index.
    """
    before = time.perf_counter()
    vectors = torch.from_numpy(index.some_vectors)
    some = vectors[spread(len(vectors), points)]
    scores, direction = (found[0].float().cpu() for found in q_net.tangent(some))
    products = some @ direction
    lengths = some.norm(dim=1).clamp_min(1e-12)
    angles = products / lengths
    by_angle = bool(_correlation(scores, angles) > _correlation(scores, products))
    if by_angle:  # what a gradient says of a vector is that much more of one of length 1
        direction = direction / (1 / lengths).mean()
    return FirstTangent(direction, by_angle, len(some), (time.perf_counter() - before) * 1e3)


def _correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = a - a.mean(), b - b.mean()
    return (a @ b) / (a.norm() * b.norm()).clamp_min(1e-30)
