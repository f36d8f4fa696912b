"""Vectors made out of real ones, and how like these they are.

What a graph finds depends on how many ways lead away from a vector: on the dimension that the
vectors have around it, which in real ones is far below their number of components. Of vectors that
stray in all components alike, this grows with their number; the better the space is filled, the
more of what is near differs in nothing but that noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

NEIGHBOURS = 16
BANDWIDTH = 0.7
"""With these, of passages of MS MARCO by all-mpnet-base-v2, as many made vectors as there are
anchors are as near each other as the anchors and have as many dimensions around them; the
benchmark prints both (`likeness`). More dimensions than neighbours they cannot have."""
STEP = BANDWIDTH / NEIGHBOURS**0.5
"""How far a made vector strays towards each neighbour, of the way there; the standard deviation."""
DRAWN = 500
NEAREST = 20

Make = Callable[[np.random.Generator, int], np.ndarray]
"""`(generator, count)` to `[count, dim] float32`."""

Rows = TypeVar("Rows", np.ndarray, torch.Tensor)


def along_neighbours(anchors: np.ndarray) -> Make:
    """Vectors that stray from an anchor in the directions of those nearest to it.

    A kernel density whose kernels are narrow where the data are: the manifold Parzen windows of
    Vincent and Bengio (NIPS 2002), with each anchor's differences to its neighbours in place of
    the covariance's leading eigenvectors. They keep their anchor's length.
    """
    near = neighbours(torch.from_numpy(np.array(anchors))).numpy()

    def make(generator: np.random.Generator, count: int) -> np.ndarray:
        one = generator.integers(len(anchors), size=count)
        steps = generator.standard_normal((count, NEIGHBOURS), dtype=np.float32)
        steps *= np.float32(STEP)
        return _as_long(strayed(anchors, near, one, steps), anchors[one])

    return make


def neighbours(anchors: torch.Tensor) -> torch.Tensor:
    """The `NEIGHBOURS` anchors nearest to each, `[n, NEIGHBOURS] int64`."""
    return torch.cat(
        [
            torch.cdist(part, anchors).topk(NEIGHBOURS + 1, largest=False).indices[:, 1:]
            for part in anchors.split(1024)
        ]
    )


def strayed(anchors: Rows, near: Rows, one: Rows, steps: Rows) -> Rows:
    """The anchors `one` `[n]`, moved by `steps` `[n, NEIGHBOURS]` towards their neighbours."""
    made = (1 - steps.sum(1)[:, None]) * anchors[one]
    for step, neighbour in zip(steps.T, near[one].T, strict=True):
        made += step[:, None] * anchors[neighbour]
    return made


def isotropic(anchors: np.ndarray) -> Make:
    """Vectors between those of two anchors, astray in every component: harder than real ones."""
    spread = 0.3 * anchors.std(axis=0)

    def make(generator: np.random.Generator, count: int) -> np.ndarray:
        one, other = generator.integers(len(anchors), size=(2, count))
        weight = generator.uniform(0.5, 0.9, size=(count, 1)).astype(np.float32)
        shape = (count, anchors.shape[1])
        made = weight * anchors[one] + (1 - weight) * anchors[other]
        made += spread * generator.standard_normal(shape, dtype=np.float32)
        return _as_long(made, anchors[one])

    return make


def _as_long(made: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(anchors, axis=1, keepdims=True)
    return made * (lengths / np.linalg.norm(made, axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Likeness:
    """What vectors look like from one of them, on average.

    Attributes:
        nearest: Distance to the nearest other one.
        tenth: Distance to the tenth.
        dimension: The local intrinsic dimension, estimated from the distances to the 20 nearest
            by maximum likelihood (Levina and Bickel, NIPS 2004); the median.
    """

    nearest: float
    tenth: float
    dimension: float


def likeness(vectors: np.ndarray) -> Likeness:
    """Measure `[n, dim]`, n above 20, from at most 500 of them, drawn."""
    drawn = np.random.default_rng(0).permutation(len(vectors))[:DRAWN]
    everything = torch.from_numpy(np.array(vectors))
    distances = torch.cat(
        [
            torch.cdist(part, everything).topk(NEAREST + 1, largest=False).values[:, 1:]
            for part in everything[torch.from_numpy(drawn)].split(64)
        ]
    )
    logarithms = torch.log(distances[:, -1:] / distances[:, :-1])
    return Likeness(
        float(distances[:, 0].mean()),
        float(distances[:, 9].mean()),
        float((1 / logarithms.mean(dim=1)).median()),
    )
