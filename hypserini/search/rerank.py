"""Reranking: the q-net scores given documents, from the vectors in the index, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypserini.index.reader import Index
from hypserini.search.batch import QueryBatch
from hypserini.search.candidates import DocList
from hypserini.search.exhaustive import ROWS_ON_CPU, ROWS_ON_GPU
from hypserini.search.filters import Filter
from hypserini.search.first_stage import FirstStage, GivenRankings
from hypserini.search.ranking import Cost, Hit, Hits
from hypserini.search.scorer import TILE, QNetScorer, drive


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """What is reranked.

    Attributes:
        first_stage: Ranks documents for each query: a run, given rankings, or BM25.
        drop_missing: Leave out documents that the index does not hold or has no vector of;
            otherwise they come last, in the order they were given in.
    """

    first_stage: FirstStage = field(default_factory=lambda: GivenRankings({}))
    drop_missing: bool = False


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

    Each score is the one that the exhaustive search gives. No text is read or encoded. Under a
    filter, documents that the index does not hold are dropped: nobody knows whether they match.
    """
    rankings = options.first_stage.rankings(batch)
    return [
        _rerank_one(
            index,
            docids,
            k,
            QNetScorer(batch.q_net[query], device=scorer.device, dtype=batch.q_net.dtype),
            options.drop_missing or filter is not None,
            filter,
        )
        for query, docids in enumerate(rankings)
    ]


def _rerank_one(
    index: Index,
    docids: list[str],
    k: int,
    scorer: QNetScorer,
    drop_missing: bool,
    filter: Filter | None,
) -> Reranked:
    if not docids:
        return Reranked()
    most = ROWS_ON_CPU if scorer.device.type == "cpu" else ROWS_ON_GPU
    block = min(-(-len(docids) // TILE) * TILE, most)
    with DocList(index, 1, k, block, docids, filter) as candidates:
        cost = drive(candidates, scorer)
        hits = Hits.of(candidates.hits(0))
        missing = [docids[position] for position in candidates.missing]
    if not drop_missing:
        # A run is sorted by score, so what comes last must have less than all others.
        least = hits[-1].score if hits else 0.0
        last = missing[: k - len(hits)]
        hits.extend(Hit(docid, least - below) for below, docid in enumerate(last, start=1))
    return Reranked(hits, cost, missing)
