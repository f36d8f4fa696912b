"""What tangent search was calibrated to, as it is kept with the index."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hypserini.formats.output import atomic_output
from hypserini.index.lucene_files import CALIBRATION as FILE
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index
from hypserini.search.modes.auto import AutoOptions
from hypserini.search.modes.tangent import TangentOptions


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


def calibrated(index: Index, options: Any, k: int) -> Any:
    """Options of tangent search, with what the calibration says where they say nothing."""
    if isinstance(options, AutoOptions):
        return replace(options, tangent=calibrated(index, options.tangent, k))
    if not isinstance(options, TangentOptions) or options.fetch or options.ef or options.rounds:
        return options
    found = load_calibration(index, k)
    if found is None:
        return options
    return replace(options, fetch=found.fetch, rounds=found.rounds, ef=found.ef)


def load_calibration(index: Index, k: int) -> Calibration | None:
    """What was recorded for at least `k` hits, this model and an index of about this size."""
    recorded = _read(index.path).get(_fingerprint(index), {})
    vectors = index.num_vectors
    fits = []
    for values in recorded.values():
        try:
            one = Calibration(**values)
        except TypeError:
            continue
        if one.k >= k and one.vectors / 2 <= vectors <= one.vectors * 2:
            fits.append(one)
    return min(fits, key=lambda one: one.k, default=None)


def _fingerprint(index: Index) -> str:
    metadata = IndexMetadata.from_user_data(index.metadata, str(index.path))
    return metadata.fingerprint if metadata else ""


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        recorded = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def record(index: Index, calibration: Calibration) -> None:
    """Keep a calibration with its index."""
    recorded = _read(index.path)
    recorded.setdefault(_fingerprint(index), {})[str(calibration.k)] = asdict(calibration)
    with atomic_output(index.path / FILE) as file:
        json.dump(recorded, file, indent=1)
