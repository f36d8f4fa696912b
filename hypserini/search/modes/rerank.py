"""Reranking: the q-net scores given documents, from the vectors in the index, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.reader import Index
from hypserini.search.candidates import Candidates
from hypserini.search.filters import Filter, java_of
from hypserini.search.modes.first_stage import FirstStage, GivenRankings
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Cost, Hit, Hits
from hypserini.search.resident.candidates import ResidentRows
from hypserini.search.resident.walk import over
from hypserini.search.scan import ROWS_ON_CPU, ROWS_ON_GPU
from hypserini.search.scorer import TILE, QNetScorer, QueryBatch, drive


class DocList(Candidates):
    """Hands out the vectors of given documents, each once: reranking.

    They come in the order of the index; if all of its documents are given, in the blocks of `Scan`.

    Args:
        index: An opened index.
        queries: Queries that all documents are scored for.
        k: Documents kept of each query.
        block: Documents handed out at once.
        docids: The documents' ids, all different.
        filter: Leaves out all other documents; they do not count as missing.

    Attributes:
        missing: Positions of the docids that no document with a vector has, ascending.
    """

    def __init__(
        self,
        index: Index,
        queries: int,
        k: int,
        block: int,
        docids: Sequence[str],
        filter: Filter | None = None,
    ) -> None:
        if min(queries, k, block) < 1:
            raise ValueError(f"queries ({queries}), k ({k}) and block ({block}) must be at least 1")
        given, within = jvm.pack(docids), java_of(filter)
        super().__init__("DocList", index, queries, block, queries, k, block, given, within)
        self._docids = docids
        self.missing: list[int] = list(self._java.missing())

    def hits(self, query: int) -> tuple[list[str], np.ndarray]:
        """As in `Candidates`; the docids are those given, none is looked up."""
        docids = [self._docids[position] for position in self._java.hitPositions(query)]
        return docids, self._hit_scores()


class Adaptive(Candidates):
    """Hands out the next of a ranking and graph neighbours of the best so far, in turn (GAR).

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out in a turn.
        docids: The ranking, best first, all different.
        budget: Documents handed out in all, at most.
        filter: Leaves out all other documents.

    Attributes:
        missing: Positions of the docids that no document with a vector has, ascending.
        has_graph: Whether there are neighbours.
    """

    def __init__(
        self,
        index: Index,
        k: int,
        block: int,
        docids: Sequence[str],
        budget: int,
        filter: Filter | None = None,
    ) -> None:
        if min(k, block, budget) < 1:
            raise ValueError(f"k ({k}), block ({block}) and budget ({budget}) must be at least 1")
        given, within = jvm.pack(docids), java_of(filter)
        super().__init__("Adaptive", index, 1, block, k, block, given, within, block, budget)
        self.missing: list[int] = list(self._java.missing())
        self.has_graph = bool(self._java.hasGraph())

    def unscored(self) -> list[int]:
        """Positions of the documents that the budget left unscored, ascending."""
        return list(self._java.unscored())


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """What is reranked.

    Attributes:
        first_stage: Ranks documents for each query: a run, given rankings, or BM25.
        drop_missing: Leave out documents that the index does not hold or has no vector of;
            otherwise they come last, in the order they were given in.
        adaptive: Alternate between the ranking and the graph neighbours of the best so far (GAR,
            CIKM 2022), which finds what the first stage missed.
        budget: Documents scored a query under `adaptive`, at most; by default as many as given.
            Those of the ranking that are left unscored come after the scored ones.
        turn: Documents scored in a turn under `adaptive`.
    """

    first_stage: FirstStage = field(default_factory=lambda: GivenRankings({}))
    drop_missing: bool = False
    adaptive: bool = False
    budget: int | None = None
    turn: int = TILE

    def __post_init__(self) -> None:
        check_range(1, budget=self.budget, turn=self.turn)


class Reranked(Hits):
    """Reranked hits; `missing` are the docids given that have no vector in the index."""

    def __init__(
        self, hits: Iterable[Hit] = (), cost: Cost | None = None, missing: Sequence[str] = ()
    ) -> None:
        super().__init__(hits, cost)
        self.missing = list(missing)


def rerank(
    index: Index,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    options: RerankOptions,
    filter: Filter | None = None,
) -> list[Hits]:
    """Rank for each query the documents that the first stage gives for it.

    Each score is the one that the exhaustive search gives, but for `ranking.ROUNDING`. No text is
    read or encoded. Under a filter, documents that the index does not hold are dropped: nobody
    knows whether they match.
    """
    rankings = options.first_stage.rankings(batch, filter)
    return [
        _rerank_one(index, docids, k, scorer.only(q_net), options, filter)
        for q_net, docids in zip(batch.q_net, rankings, strict=True)
    ]


def _rerank_one(
    index: Index,
    docids: list[str],
    k: int,
    scorer: QNetScorer,
    options: RerankOptions,
    filter: Filter | None,
) -> Reranked:
    if not docids:
        return Reranked(cost=Cost(mode="rerank"))
    k = min(k, len(docids) + index.num_vectors)
    with _candidates(index, docids, k, scorer, options, filter) as candidates:
        walk = over(candidates, scorer.field) if isinstance(candidates, Adaptive) else candidates
        cost = drive(walk, scorer)
        cost.mode = "rerank"
        hits = Hits.of(candidates.hits(0))
        missing = candidates.missing
        last = candidates.unscored() if isinstance(candidates, Adaptive) else []
    if not options.drop_missing and filter is None:
        last = sorted([*last, *missing])
    put_last(hits, [docids[position] for position in last], k)
    return Reranked(hits, cost, [docids[position] for position in missing])


def put_last(hits: list[Hit], docids: Sequence[str], k: int) -> None:
    """Append documents that have no score to a ranking, up to `k` in all."""
    # A run is sorted by score, so what comes last must have less than all others.
    least = hits[-1].score if hits else 0.0
    rest = docids[: max(0, k - len(hits))]
    hits.extend(Hit(docid, least - below) for below, docid in enumerate(rest, start=1))


def _candidates(
    index: Index,
    docids: list[str],
    k: int,
    scorer: QNetScorer,
    options: RerankOptions,
    filter: Filter | None,
) -> DocList | ResidentRows | Adaptive:
    if not options.adaptive:
        most = ROWS_ON_CPU if scorer.device.type == "cpu" else ROWS_ON_GPU
        block = min(-(-len(docids) // TILE) * TILE, most)
        if scorer.field is not None:
            return ResidentRows(scorer.field, 1, k, block, docids, filter)
        return DocList(index, 1, k, block, docids, filter)
    budget = min(options.budget or len(docids), index.num_vectors)
    turn = min(options.turn, max(1, index.num_vectors))
    adaptive = Adaptive(index, k, turn, docids, max(1, budget), filter)
    if not adaptive.has_graph:
        adaptive.close()
        raise IndexingError(
            f"the index {index.path} has no graph, whose neighbours adaptive reranking needs "
            "(Lucene makes none for a few hundred documents): rerank without --adaptive, or index "
            "with --vectors hnsw."
        )
    return adaptive
