"""Where a search begins: the direction in which a q-net's scores grow over the whole corpus."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.search.costs import spread


@dataclass(frozen=True, slots=True)
class FirstTangents:
    """Where to look first, for each of some q-nets.

    Attributes:
        directions: `[q, dim] float32` on the q-nets' device, the mean of the gradients at documents
            from all over the corpus: scores grow about by its product with a vector, or with one of
            length 1.
        by_angle: `[q] bool` there: scores follow the angle with the direction, not the product.
        evaluations: Documents scored to know that, a query.
        milliseconds: What that took in all.
    """

    directions: Tensor
    by_angle: Tensor
    evaluations: int
    milliseconds: float


def first_tangents(index: Index, q_net: QNet, points: int) -> FirstTangents:
    """The directions in which the scores of some q-nets grow over the whole corpus.

    They are taken at `points` documents, spread evenly over the index.
    """
    before = time.perf_counter()
    vectors = torch.from_numpy(index.some_vectors)
    some = vectors[spread(len(vectors), points)].to(q_net.device)
    scores, directions = (found.float() for found in q_net.tangent(some))
    products = directions @ some.T
    lengths = some.norm(dim=1).clamp_min(1e-12)
    by_angle = _correlations(scores, products / lengths) > _correlations(scores, products)
    # What a gradient says of a vector is that much more of one of length 1.
    scaled = directions / (1 / lengths).mean()
    directions = torch.where(by_angle[:, None], scaled, directions)
    return FirstTangents(directions, by_angle, len(some), (time.perf_counter() - before) * 1e3)


def _correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's, row by row."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-30)
