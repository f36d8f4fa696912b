"""The graph walk: the paper's approximate search, Algorithm 1, over Lucene's HNSW graph."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, replace
from typing import Literal

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.search.candidates import Candidates
from hypserini.search.filters import Filter, count_searched, java_of
from hypserini.search.modes.apart import rank_each
from hypserini.search.modes.exhaustive import ExhaustiveOptions, search_exhaustively
from hypserini.search.modes.first_tangent import FirstTangents, first_tangents
from hypserini.search.modes.steering import steer
from hypserini.search.modes.tangent_options import first_points
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hits
from hypserini.search.resident.walk import over
from hypserini.search.scorer import TILE, QNetScorer, QueryBatch, drive

ENTRIES = ("random", "layer", "bm25", "tangent")
MOST_IN_A_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """How a graph is walked; the names of the reference code where it has the same.

    Attributes:
        entry: Where to enter: at `random` documents (the paper's way), at all nodes of an upper
            `layer` of the graph, at the query's `bm25` hits, or at those nearest to the `tangent`.
        num_entry_points: How many; of a layer, at most. By default so many as suit k.
        ncandidates: Nodes expanded a round; by default so many as suit k.
        max_iter: Rounds, that of the entry points included.
        early_stop: End when nothing new came into the best k.
        patience: For so many rounds in a row.
        frontier: Expand the best of `all` nodes that were not yet, or, as the paper does, of those
            that are `new` in this round.
        max_scored: Documents scored a query, at most. As many as there are: exhaustive search.
        seed: Of the random entry points.
    """

    entry: Literal["random", "layer", "bm25", "tangent"] | str = "tangent"
    num_entry_points: int | None = None
    ncandidates: int | None = None
    max_iter: int = 16
    early_stop: bool = True
    patience: int = 1
    frontier: Literal["all", "new"] | str = "all"
    max_scored: int | None = None
    seed: int = 43

    def __post_init__(self) -> None:
        if self.entry not in ENTRIES:
            raise ValueError(f"entry is {self.entry!r} and must be one of {', '.join(ENTRIES)}")
        if self.frontier not in ("all", "new"):
            raise ValueError(f"frontier is {self.frontier!r} and must be 'all' or 'new'")
        check_range(
            1,
            num_entry_points=self.num_entry_points,
            ncandidates=self.ncandidates,
            max_iter=self.max_iter,
            patience=self.patience,
            max_scored=self.max_scored,
        )
        check_range(0, sys.maxsize, seed=self.seed)

    def follow(self, k: int) -> GraphOptions:
        """The same with numbers for `k` hits where there were none."""
        return replace(
            self,
            num_entry_points=self.num_entry_points or max(math.ceil(25 * math.sqrt(k)), k),
            ncandidates=self.ncandidates or max(8, k // 8),
        )

    def within(self, documents: int) -> GraphOptions:
        """The same, without looking for more than there is in an index of so many documents."""
        most = max(1, documents)
        return replace(
            self,
            num_entry_points=min(self.num_entry_points or most, most),
            ncandidates=min(self.ncandidates or most, most),
            max_iter=min(self.max_iter, most),  # each round meets a document that is new
            patience=min(self.patience, most),
        )


EFFICIENT_1 = GraphOptions("random", 10_000, 64, 16, frontier="new")
EFFICIENT_2 = GraphOptions("random", 100_000, 328, 20, frontier="new")
"""The two settings of the paper's table 4 (its graph has 100 neighbours a node, ours about 32)."""


class GraphWalk(Candidates):
    """Hands out what a walk over the graph meets, round by round, for one query.

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out at once, at most.
        options: How to walk; all of its numbers but `max_scored` are given.
        filter: Leaves out all other documents.
        position: The query's place in its batch, for errors.

    Attributes:
        direction: `[dim] float32`, to be filled before `enter_nearest`.
    """

    def __init__(
        self,
        index: Index,
        k: int,
        block: int,
        options: GraphOptions,
        filter: Filter | None = None,
        position: int = 0,
    ) -> None:
        super().__init__(
            *("GraphWalk", index, 1, block),
            *(k, block, java_of(filter)),
            *(options.ncandidates, options.max_iter),
            options.patience if options.early_stop else 0,
            jvm.LARGEST if options.max_scored is None else options.max_scored,
            options.frontier == "new",
        )
        self._first_query = position
        self.direction = self._tensor(self._java.direction(), (index.dimension,))

    @property
    def entries(self) -> int:
        """How many documents the walk enters at."""
        return int(self._java.entries())

    def enter_random(self, count: int, seed: int) -> None:
        """Enter at `count` documents drawn by chance."""
        start = seed % 2**63
        self._java.enterRandom(count, start)

    def enter_layer(self, most: int) -> None:
        """Enter at all nodes of the lowest layer that has at most so many."""
        self._java.enterLayer(most)

    def enter_text(self, text: str, count: int, filter: Filter | None) -> None:
        """Enter at the `count` best documents for a text by BM25."""
        query, within = jvm.pack([text]), java_of(filter)
        self._java.enterText(query, count, within)

    def enter_nearest(
        self, count: int, ef: int, by_angle: bool = False, by_format: bool = False
    ) -> None:
        """Enter at the `count` documents nearest to `direction`."""
        self._java.enterNearest(count, ef, by_angle, by_format)


def search_by_graph(
    index: Index,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    options: GraphOptions,
    filter: Filter | None = None,
) -> list[Hits]:
    """Rank the documents that a walk over the graph meets for each query of a batch.

    Segments without a graph are searched exhaustively. A budget that covers all documents that may
    be returned makes the whole search exhaustive and exact.

    Raises:
        IndexingError: The walk is to enter at BM25 hits and the query was given without its text.
    """
    options = options.follow(k).within(index.num_vectors)
    searched = count_searched(index, filter)
    if options.max_scored is not None and options.max_scored >= searched:
        return search_exhaustively(index, batch, k, scorer, ExhaustiveOptions(), filter)
    budget = jvm.LARGEST if options.max_scored is None else options.max_scored
    points = first_points(options.max_scored)
    if options.entry == "tangent" and budget <= points:
        raise IndexingError(
            "a walk that begins where the tangent leads scores a document to know that, and one at"
            f" least after it, and may score {budget} in all: allow more (--max-scored)."
        )

    def rank(position: int, q_net: QNet) -> Hits:
        started = time.perf_counter()
        first = first_tangents(index, q_net, points) if options.entry == "tangent" else None
        left = replace(options, max_scored=budget - (first.evaluations if first else 0))
        with GraphWalk(index, k, _block(options), left, filter, position) as walk:
            _enter(walk, index, batch, left, first, filter, position)
            cost = drive(over(walk, scorer.field), scorer.only(q_net))
            hits = Hits.of(walk.hits(0), cost)
        if first:
            cost.score_ms += first.milliseconds
            cost.evaluations += first.evaluations
        cost.mode = "graph"
        cost.fetch_ms = (time.perf_counter() - started) * 1e3 - cost.score_ms
        return hits

    return rank_each(scorer, rank)


def _block(options: GraphOptions) -> int:
    """Room for a round of few neighbours; a larger round is handed out in parts."""
    wanted = max(options.num_entry_points or 0, 16 * (options.ncandidates or 0))
    return min(MOST_IN_A_BLOCK, -(-wanted // TILE) * TILE)


def _enter(
    walk: GraphWalk,
    index: Index,
    batch: QueryBatch,
    options: GraphOptions,
    first: FirstTangents | None,
    filter: Filter | None,
    position: int,
) -> None:
    """Choose the entry points of one query."""
    count = min(options.num_entry_points or 1, options.max_scored or 1, jvm.LARGEST)
    if first is not None:
        steering = steer(index, bool(first.by_angle))
        walk.direction[:] = steering.aim(first.directions[0].cpu())
        walk.enter_nearest(count, 600, steering.by_angle, steering.by_format)
    elif options.entry == "random":
        walk.enter_random(count, options.seed)
    elif options.entry == "layer":
        walk.enter_layer(count)
    else:
        text = batch.texts[position]
        if text is None:
            raise IndexingError(
                f"query {batch.qids[position]} was given as a q-net and has no text to enter the "
                "graph by BM25: choose another entry, or search with texts."
            )
        walk.enter_text(text, count, filter)
    if not walk.entries:  # BM25 found nothing, or a layer holds nothing that may be returned
        walk.enter_random(count, options.seed)
