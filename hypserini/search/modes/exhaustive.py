"""Exhaustive search: every document is scored. Exact, and the reference for every other mode."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from hypserini.index.reader import Index
from hypserini.search.filters import Filter
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Cost, Hits
from hypserini.search.resident.candidates import ResidentScan
from hypserini.search.resident.stream import Stream
from hypserini.search.scan import ROWS_ON_CPU, ROWS_ON_GPU, Scan
from hypserini.search.scorer import QNetScorer, QueryBatch, drive


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
    candidates: Scan | Stream | ResidentScan
    if scorer.field is not None:
        candidates = ResidentScan(scorer.field, queries, k, rows, filter)
    elif is_streamed(scorer.device):
        candidates = Stream(index, queries, k, rows, scorer.device, filter)
    else:
        candidates = Scan(index, queries, k, rows, filter)
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


def is_streamed(device: torch.device) -> bool:
    """Whether blocks are read ahead of the scoring: a CPU would only be kept from it."""
    return device.type != "cpu"
