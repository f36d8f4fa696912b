"""Calibrates tangent search to a wanted overlap, and keeps the choice with the index."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini.files import atomic_output
from hypserini.search.auto import AutoOptions
from hypserini.search.costs import loss_at
from hypserini.search.tangent import TangentOptions

if TYPE_CHECKING:
    from hypserini.modeling import QNet
    from hypserini.search.searcher import LuceneHypencoderSearcher

logger = logging.getLogger(__name__)

FILE = "hypserini-calibration.json"
"""Beside Lucene's own files, which it does not touch; written whole or not at all."""

SAMPLE = 50

LADDER = (
    *((0.5, 0.5), (0.5, 1), (1, 1), (1, 2), (1.5, 2)),
    *((2, 4), (3, 8), (4, 16), (8, 32), (16, 64)),
)
"""Factors of the default `fetch` and `ef`, from cheap to dear."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters of tangent search that were found good enough.

    Attributes:
        k: Hits a query that they were tried with.
        fetch: Documents a round.
        rounds: Rounds at most.
        ef: Documents kept by the first vector search.
        target: The overlap that was wanted.
        overlap: The overlap with the exhaustive best k that was measured.
        evaluations: Documents scored a query, on the mean.
        topics: Topics of the sample.
        vectors: Documents of the index then; of a very different one it says nothing.
    """

    k: int
    fetch: int
    rounds: int
    ef: int
    target: float
    overlap: float
    evaluations: float
    topics: int
    vectors: int


def calibrate(
    searcher: LuceneHypencoderSearcher,
    queries: Sequence[str | QNet],
    qids: Sequence[str],
    k: int,
    target: float,
    filter: Any = None,
) -> Calibration:
    """Find the cheapest parameters of tangent search that reach an overlap, and record them.

    Args:
        searcher: What to calibrate.
        queries: Topics like those to come; up to 50 of them, spread evenly, are searched.
        qids: Their ids.
        k: Hits a query.
        target: The wanted overlap with the exhaustive best k, 0 to 1.
        filter: As in `stream_search`.

    Returns:
        The choice; if nothing reaches the target, the dearest that was tried, with a warning.
    """
    chosen = spread(len(queries), SAMPLE)
    queries, qids = [queries[i] for i in chosen], [qids[i] for i in chosen]
    if any(isinstance(query, str) for query in queries):
        encoded = searcher.encoder.encode([str(query) for query in queries])
        queries = [encoded[i] for i in range(len(encoded))]
    exact = searcher.batch_search(queries, qids, k, mode="exhaustive", filter=filter)
    plan = TangentOptions().follow(k)
    for of_fetch, of_ef in LADDER:
        options = TangentOptions(
            fetch=math.ceil(of_fetch * plan.fetch),
            rounds=plan.rounds,
            ef=math.ceil(of_ef * plan.ef),
        )
        found = searcher.batch_search(
            queries, qids, k, mode="tangent", options=options, filter=filter
        )
        overlap = loss_at(found, exact, k).overlap
        evaluations = sum(hits.cost.evaluations for hits in found.values()) / max(1, len(found))
        logger.info(
            "fetch %d, ef %d: overlap@%d %.4f with %.0f documents scored",
            *(options.fetch, options.ef, k, overlap, evaluations),
        )
        if overlap >= target:
            break
    else:
        logger.warning("no setting that was tried reaches an overlap of %g", target)
    calibration = Calibration(
        *(k, options.fetch or 0, plan.rounds, options.ef or 0, target, overlap, evaluations),
        *(len(qids), searcher.index.num_vectors),
    )
    _record(searcher.index.path, _fingerprint(searcher), calibration)
    return calibration


def spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` of the numbers 0 .. count - 1, spread evenly."""
    wanted = min(count, wanted)
    return [i * count // wanted for i in range(wanted)]


def calibrated(searcher: LuceneHypencoderSearcher, options: Any, k: int) -> Any:
    """Options of tangent search, with what the calibration says where they say nothing."""
    if isinstance(options, AutoOptions):
        return replace(options, tangent=calibrated(searcher, options.tangent, k))
    if not isinstance(options, TangentOptions) or options.fetch or options.ef or options.rounds:
        return options
    found = load_calibration(searcher, k)
    if found is None:
        return options
    return replace(options, fetch=found.fetch, rounds=found.rounds, ef=found.ef)


def load_calibration(searcher: LuceneHypencoderSearcher, k: int) -> Calibration | None:
    """What was recorded for at least `k` hits, this model and an index of about this size."""
    recorded = _read(searcher.index.path).get(_fingerprint(searcher), {})
    vectors = searcher.index.num_vectors
    fits = []
    for values in recorded.values():
        try:
            one = Calibration(**values)
        except TypeError:
            continue
        if one.k >= k and one.vectors / 2 <= vectors <= one.vectors * 2:
            fits.append(one)
    return min(fits, key=lambda one: one.k, default=None)


def _fingerprint(searcher: LuceneHypencoderSearcher) -> str:
    return searcher.metadata.fingerprint if searcher.metadata else ""


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        recorded = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def _record(folder: Path, fingerprint: str, calibration: Calibration) -> None:
    recorded = _read(folder)
    recorded.setdefault(fingerprint, {})[str(calibration.k)] = asdict(calibration)
    with atomic_output(folder / FILE) as file:
        json.dump(recorded, file, indent=1)
