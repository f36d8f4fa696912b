"""Several teachers as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hypserini.train.data.examples import WholeExample
from hypserini.train.teach.teacher import Teacher


class Fusion:
    """Several teachers as one: the weighted sum of their scores, each standardised in an example.

    Args:
        teachers: One or more.
        weights: Of each; by default equal.
    """

    def __init__(self, teachers: Sequence[Teacher], weights: Sequence[float] | None = None) -> None:
        self._teachers = list(teachers)
        self._weights = list(weights or [1.0] * len(self._teachers))
        self.name = " and ".join(teacher.name for teacher in teachers)
        self.batch_size = min(teacher.batch_size for teacher in teachers)
        self.texts = [each for teacher in teachers for each in teacher.texts]
        self.settings = {"fused": [t.settings for t in teachers], "weighed": self._weights}

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """See `Teacher`."""
        ends = np.cumsum([0, *(len(e["items"]) for e in examples)])
        total = np.zeros(ends[-1], np.float32)
        for teacher, weight in zip(self._teachers, self._weights, strict=True):
            scores = teacher.score(examples)
            for start, end in pairwise(ends):
                total[start:end] += weight * _standardised(scores[start:end])
        return total

    def close(self) -> None:
        """See `Teacher`."""
        for teacher in self._teachers:
            teacher.close()


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Scores with mean 0 and standard deviation 1; 0 where all are equal."""
    # In float32 the mean of scores that differ in their last bits would be off by as much.
    scores = scores.astype(np.float64)
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)
