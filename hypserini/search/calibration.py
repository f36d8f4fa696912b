"""What tangent search was calibrated to, as it is kept with the index."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from hypserini.index.beside import keep_beside
from hypserini.index.lucene_files import CALIBRATION
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index
from hypserini.search.modes.auto import AutoOptions
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.ranges import check_range

logger = logging.getLogger(__name__)


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

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            numbers = (int,) if field.type == "int" else (int, float)
            if isinstance(value, bool) or not isinstance(value, numbers):
                raise ValueError(f"{field.name} is {value!r}")
        check_range(1, k=self.k, rounds=self.rounds, topics=self.topics, vectors=self.vectors)
        check_range(1, self.vectors, fetch=self.fetch, ef=self.ef)
        check_range(0, 1, target=self.target, overlap=self.overlap)
        check_range(0, evaluations=self.evaluations)


def calibrated(index: Index, options: Any, k: int, found: Calibration | None = None) -> Any:
    """Options of tangent search, with what a calibration says where they say nothing.

    Args:
        index: The index that is searched.
        options: The options of any mode.
        k: Hits a query.
        found: What was found for this search; by default what is recorded with the index.
    """
    if isinstance(options, AutoOptions):
        return replace(options, tangent=calibrated(index, options.tangent, k, found))
    if not isinstance(options, TangentOptions) or options.fetch or options.ef or options.rounds:
        return options
    if found is None or found.k < k:
        found = load_calibration(index, k)
    if found is None:
        return options
    return replace(options, fetch=found.fetch, rounds=found.rounds, ef=found.ef)


def load_calibration(index: Index, k: int) -> Calibration | None:
    """What was recorded for at least `k` hits, this model and an index of about this size."""
    recorded = _read(index).get(_fingerprint(index), [])
    vectors = index.num_vectors
    fits = [one for one in recorded if one.k >= k and one.vectors / 2 <= vectors <= one.vectors * 2]
    return min(fits, key=lambda one: one.k, default=None)


def _fingerprint(index: Index) -> str:
    metadata = IndexMetadata.from_user_data(index.metadata, str(index.path))
    return metadata.fingerprint if metadata else ""


Recorded = dict[str, list[Calibration]]
"""By the fingerprint of the model, a calibration for each number of hits."""


def _read(index: Index) -> Recorded:
    folder = index.beside
    if folder is None:
        return {}
    try:
        data = (folder / CALIBRATION).read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        data = str(error).encode()  # which is no JSON, and is warned of as such
    return _parse(data, str(folder / CALIBRATION))


@lru_cache(64)
def _parse(data: bytes, path: str) -> Recorded:
    """What a file records; of one that records nothing it warns once."""
    try:
        models = json.loads(data.decode("utf-8"))
        return {
            fingerprint: [Calibration(**values) for values in calibrations.values()]
            for fingerprint, calibrations in models.items()
        }
    # Whatever the file holds: a list where there should be an object, a word for a number.
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        logger.warning(
            "%s is not what calibrating writes (%s) and is ignored: remove it, or calibrate again"
            " with --target-overlap",
            *(path, error),
        )
        return {}


def record(index: Index, calibration: Calibration) -> bool:
    """Keep a calibration with its index; where that cannot be written to, say so.

    Returns:
        Whether it is kept.
    """
    recorded = dict(_read(index))
    fingerprint = _fingerprint(index)
    others = [one for one in recorded.get(fingerprint, []) if one.k != calibration.k]
    recorded[fingerprint] = [*others, calibration]
    written = {
        model: {str(one.k): asdict(one) for one in calibrations}
        for model, calibrations in recorded.items()
    }
    failed = keep_beside(index, CALIBRATION, written)
    if failed:
        logger.warning(
            "the calibration cannot be kept with the index (%s): it serves this search alone",
            failed,
        )
    return failed is None
