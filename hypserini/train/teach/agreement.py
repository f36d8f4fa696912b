"""How closely one scorer ranks as another: rank correlation and overlap, over given documents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hypserini.train.data.examples import WholeExample

DEPTH = 10


class Agreement(NamedTuple):
    """The means over queries of Kendall's tau-b and of the share of the best that are the same."""

    correlation: float
    overlap: float


def agreement(
    examples: Sequence[WholeExample], teacher: np.ndarray, student: np.ndarray, depth: int = DEPTH
) -> Agreement:
    """Compare the scores of the items of examples.

    Args:
        examples: Of several items each; those of fewer than two do not count.
        teacher: `[pairs]`, the scores of one.
        student: `[pairs]`, of the other.
        depth: How many of the best are compared for the overlap; of shorter examples half of all.
    """
    from scipy.stats import kendalltau

    taus, overlaps = [], []
    for start, end in pairwise(np.cumsum([0, *(len(e["items"]) for e in examples)])):
        if end - start < 2:
            continue
        ours, theirs = teacher[start:end], student[start:end]
        tau = kendalltau(ours, theirs).statistic
        taus.append(0.0 if np.isnan(tau) else float(tau))
        k = min(depth, max(1, int(end - start) // 2))
        best = [set(np.argsort(-scores, kind="stable")[:k].tolist()) for scores in (ours, theirs)]
        overlaps.append(len(best[0] & best[1]) / k)
    if not taus:
        return Agreement(float("nan"), float("nan"))
    return Agreement(float(np.mean(taus)), float(np.mean(overlaps)))
