"""Exhaustive search: every document is scored. Exact, and the reference for every other mode."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypserini.index.reader import Index
from hypserini.search.candidates import Candidates
from hypserini.search.filters import Filter, java_of
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Cost, Hits
from hypserini.search.resident.candidates import ResidentScan
from hypserini.search.scorer import QNetScorer, QueryBatch, drive

ROWS_ON_CPU = 1024
ROWS_ON_GPU = 16384
"""Documents handed out at once: blocks that fit the caches of a CPU, or keep a GPU busy."""


class Scan(Candidates):
    """Hands out every live vector of an index once: exhaustive search, exact.

    Args:
        index: An opened index.
        queries: Queries scored together.
        k: Documents kept of each; more than there are keeps all of them.
        block: Documents handed out at once.
        filter: Leaves out all other documents; None: all are scored.
    """

    def __init__(
        self,
        index: Index,
        queries: int,
        k: int,
        block: int = ROWS_ON_CPU,
        filter: Filter | None = None,
    ) -> None:
        if min(queries, k, block) < 1:
            raise ValueError(f"queries ({queries}), k ({k}) and block ({block}) must be at least 1")
        super().__init__("Scan", index, queries, block, queries, k, block, java_of(filter))


@dataclass(frozen=True, slots=True)
class ExhaustiveOptions:
    """How the index is scanned.

    Attributes:
        block: Documents handed out at once; by default what suits the device.
    """

    block: int | None = None

    def __post_init__(self) -> None:
        check_range(1, block=self.block)


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
    rows = min(rows, max(ROWS_ON_GPU, index.num_vectors))
    queries = len(batch)
    candidates: Scan | ResidentScan
    if scorer.field is None:
        candidates = Scan(index, queries, k, rows, filter)
    else:
        candidates = ResidentScan(scorer.field, queries, k, rows, filter)
    with candidates:
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
