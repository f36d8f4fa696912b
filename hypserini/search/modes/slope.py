"""The direction in which scores grow where the best documents are, learnt from what was scored."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 0.1
"""The penalty, in mean squared distances of the vectors from their mean. From .03 to .3, searches
among a million documents found the same."""

MOST = 256
"""So many of the best are learnt from: what the equations cost grows by its cube."""


class Slope:
    """A linear view of the scores, which begins as given and is bent to what is scored.

    It is the ridge regression, from all scores so far, of what they differ by from the first view:
    the mean of a Gaussian process whose prior is that view (Rasmussen and Williams 2006, 2.1). In a
    dimension as large as the documents are many, it is solved by their products with each other.
    Nothing but scores is needed, where another gradient costs twice what a score does and knows one
    document alone.

    Args:
        prior: `[dim] float32`, the first view: scores grow about by its product with a vector.
        by_angle: It is of vectors of length 1.

    Attributes:
        direction: `[dim] float32`, the view now.
    """

    def __init__(self, prior: Tensor, *, by_angle: bool = False) -> None:
        self.direction = prior
        self._prior = prior
        self._by_angle = by_angle
        self._vectors = prior.new_empty(0, len(prior))
        self._scores = prior.new_empty(0)
        self._products = prior.new_empty(0, 0)

    def learn(self, vectors: Tensor, scores: Tensor) -> None:
        """Take the vectors `[n, dim]` of documents and their scores `[n]`, on any device."""
        new = vectors.to(self._prior, copy=True)
        if self._by_angle:
            new /= new.norm(dim=1, keepdim=True).clamp_min(1e-12)
        scores = scores.to(self._prior)
        count = len(self._scores)
        kept = torch.cat([self._scores, scores]).topk(min(MOST, count + len(scores))).indices
        old, new_kept = kept[kept < count], kept[kept >= count] - count
        self._keep(old, new[new_kept], scores[new_kept])
        self._solve()

    def _keep(self, old: Tensor, vectors: Tensor, scores: Tensor) -> None:
        before = self._vectors[old]
        self._vectors = torch.cat([before, vectors])
        self._scores = torch.cat([self._scores[old], scores])
        across = vectors @ self._vectors.T
        above = torch.cat([self._products[old][:, old], across[:, : len(old)].T], dim=1)
        self._products = torch.cat([above, across])

    def _solve(self) -> None:
        residuals = self._scores - self._vectors @ self._prior
        residuals -= residuals.mean()
        # The products of the vectors' differences from their mean.
        rows = self._products.mean(dim=0)
        products = self._products - rows[None] - rows[:, None] + rows.mean()
        penalty = RIDGE * products.diagonal().mean().clamp_min(1e-12)
        products.diagonal().add_(penalty)
        factor, failed = torch.linalg.cholesky_ex(products)
        weights = torch.cholesky_solve(residuals[:, None], factor)[:, 0]
        direction = self._prior + (weights - weights.mean()) @ self._vectors
        # Scores may be infinite.
        if not bool(failed) and bool(direction.isfinite().all()):
            self.direction = direction
