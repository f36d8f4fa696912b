"""Rankings compared up to rounding, of which `hypserini.search.ranking` says how much it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from hypserini.search.ranking import rounding

Pairs = Sequence[tuple[str, float]]


def pairs(hits: Iterable[Any]) -> list[tuple[str, float]]:
    """Docids and scores of hits, or of what are such pairs already."""
    return [hit if isinstance(hit, tuple) else (hit.docid, float(hit.score)) for hit in hits]


def scores_like(
    scores: Sequence[float] | Mapping[str, float], ranking: Iterable[float] | None = None
) -> Any:
    """What scores are equal to, in their order or by docid, if they differ by rounding alone.

    `ranking` are all scores of their ranking, where these are a part.
    """
    values = scores.values() if isinstance(scores, Mapping) else scores
    size = values if ranking is None else ranking
    return pytest.approx(scores, rel=0, abs=rounding(map(float, size)))


def assert_same_ranking(found: Iterable[Any], expected: Iterable[Any]) -> None:
    """The same scores, and the same documents but where scores differ by rounding alone."""
    found, expected = pairs(found), pairs(expected)
    assert [score for _, score in found] == scores_like([score for _, score in expected])
    near = 2 * rounding(score for _, score in expected)
    for rank, ((docid, _), (other, score)) in enumerate(zip(found, expected, strict=True), 1):
        if docid != other:
            ties = {d for d, s in expected if abs(s - score) <= near}
            beyond = abs(score - expected[-1][1]) <= near  # a tie may go on where the ranking ends
            assert docid in ties or beyond, f"rank {rank}: {docid} instead of {other}"
