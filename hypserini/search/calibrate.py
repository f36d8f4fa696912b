"""Calibrates tangent search to a wanted overlap with exhaustive search."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from hypserini.modeling import QNet
from hypserini.search.calibration import Calibration, record
from hypserini.search.costs import loss_at, spread
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.searcher import LuceneHypencoderSearcher

logger = logging.getLogger(__name__)

SAMPLE = 50

LADDER = (
    *((0.5, 0.5), (0.5, 1), (1, 1), (1, 2), (1.5, 2)),
    *((2, 4), (3, 8), (4, 16), (8, 32), (16, 64)),
)
"""Factors of the default `fetch` and `ef`, from cheap to dear."""


def calibrate(
    searcher: LuceneHypencoderSearcher,
    queries: Sequence[str | QNet],
    qids: Sequence[str],
    k: int,
    target: float,
    filter: Any = None,
) -> tuple[Calibration | None, bool]:
    """Find the cheapest parameters of tangent search that reach an overlap.

    The searcher uses them from now on. They are recorded with the index, for later searches, unless
    a filter was searched under: that says nothing of other searches.

    Args:
        searcher: What to calibrate.
        queries: Topics like those to come; up to 50 of them, spread evenly, are searched.
        qids: Their ids.
        k: Hits a query.
        target: The wanted overlap with the exhaustive best k, 0 to 1.
        filter: As in `stream_search`.

    Returns:
        The choice, and whether it is recorded; if nothing reaches the target, the dearest that was
        tried, with a warning. None where even the cheapest would score all documents.
    """
    documents = max(1, searcher.index.num_vectors)
    k = min(k, documents)
    chosen = spread(len(queries), SAMPLE)
    queries, qids = [queries[i] for i in chosen], [qids[i] for i in chosen]
    if any(isinstance(query, str) for query in queries):
        encoded = searcher.encoder.encode([str(query) for query in queries])
        queries = [encoded[i] for i in range(len(encoded))]
    exact = searcher.batch_search(queries, qids, k, mode="exhaustive", filter=filter)
    plan = TangentOptions().follow(k)
    best: Calibration | None = None
    for of_fetch, of_ef in LADDER:
        options = TangentOptions(
            fetch=min(documents, math.ceil(of_fetch * plan.fetch)),
            rounds=plan.rounds,
            ef=min(documents, math.ceil(of_ef * plan.ef)),
        )
        found = searcher.batch_search(
            queries, qids, k, mode="tangent", options=options, filter=filter
        )
        if any(hits.cost.mode != "tangent" for hits in found.values()):
            break  # it scored all documents: that is exact, and says nothing of these parameters
        evaluations = sum(hits.cost.evaluations for hits in found.values()) / max(1, len(found))
        overlap = loss_at(found, exact, k).overlap
        best = Calibration(
            *(k, options.fetch or 0, plan.rounds, options.ef or 0, target, overlap, evaluations),
            *(len(qids), documents),
        )
        logger.info(
            "fetch %d, ef %d: overlap@%d %.4f with %.0f documents scored",
            *(options.fetch, options.ef, k, overlap, evaluations),
        )
        if overlap >= target:
            break
    if best is None:
        return None, False
    if best.overlap < target:
        logger.warning("no setting that was tried reaches an overlap of %g", target)
    searcher.calibration = best
    return best, filter is None and record(searcher.index, best)
