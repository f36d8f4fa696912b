"""Paired significance tests between runs over the same topics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """A run against the baseline in one measure.

    Attributes:
        difference: mean of the run less mean of the baseline.
        p: two-sided p-value, corrected over the runs compared (Holm); NaN below two topics.
    """

    difference: float
    p: float

    def significant(self, level: float = 0.05) -> bool:
        """Whether the difference is significant at this level."""
        return self.p < level


def paired_t_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the p-value of Student's paired two-sided t-test (scipy.stats.ttest_rel).

    Equal values throughout give 1, fewer than two pairs NaN.
    """
    from scipy.stats import ttest_rel

    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values cannot be paired")
    if len(first) < 2:
        return math.nan
    if list(first) == list(second):
        return 1.0
    with warnings.catch_warnings():
        # The same difference at every topic has no variance: t is infinite and p is 0, rightly.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ttest_rel(first, second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method (1979).

    Sorted ascending, the i-th of n is multiplied by n - i (i from 0), made monotone, and capped
    at 1. NaNs stay and are not counted.
    """
    corrected = list(p_values)
    order = sorted(
        (index for index, p in enumerate(p_values) if not math.isnan(p)),
        key=lambda index: p_values[index],
    )
    highest = 0.0
    for position, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(order) - position)))
        corrected[index] = highest
    return corrected


def compare(
    baseline: Mapping[str, float], others: Sequence[Mapping[str, float]]
) -> list[Comparison]:
    """Compare runs with a baseline in one measure, topic by topic.

    Args:
        baseline: topic id -> value.
        others: the same for each run, over the same topics.

    Returns:
        for each run its difference and its p-value, Holm-corrected over these runs.
    """
    topics = list(baseline)
    base = [baseline[qid] for qid in topics]
    values = [[other[qid] for qid in topics] for other in others]
    p_values = holm([paired_t_test(each, base) for each in values])
    return [
        Comparison(math.fsum(each) / len(each) - math.fsum(base) / len(base), p)
        for each, p in zip(values, p_values, strict=True)
    ]
