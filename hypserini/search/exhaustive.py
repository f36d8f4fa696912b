"""Exhaustive search: every document is scored. Exact, and the reference for every other mode."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypserini.index.reader import Index
from hypserini.search.batch import QueryBatch
from hypserini.search.candidates import Scan
from hypserini.search.filters import Filter
from hypserini.search.ranking import Cost, Hits
from hypserini.search.scorer import QNetScorer, drive

ROWS_ON_CPU = 1024
ROWS_ON_GPU = 16384
"""Documents handed out at once: blocks that fit the caches of a CPU, or keep a GPU busy."""


@dataclass(frozen=True, slots=True)
class ExhaustiveOptions:
    """How the index is scanned.

    Attributes:
        block: Documents handed out at once; by default what suits the device.
    """

    block: int | None = None


def search_exhaustively(
    index: Index,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    options: ExhaustiveOptions,
    filter: Filter | None = None,
) -> list[Hits]:
    """Rank all documents for all queries of a batch in one scan of the index."""
    rows = options.block or (ROWS_ON_CPU if scorer.device.type == "cpu" else ROWS_ON_GPU)
    queries = len(batch)
    with Scan(index, queries, k, rows, filter) as candidates:
        cost = drive(candidates, scorer)
        ranked = [candidates.hits(i) for i in range(queries)]
    each = Cost(
        evaluations=cost.evaluations,
        rounds=cost.rounds,
        fetch_ms=cost.fetch_ms / queries,
        score_ms=cost.score_ms / queries,
        mode="exhaustive",
    )
    return [Hits.of(one, replace(each)) for one in ranked]
