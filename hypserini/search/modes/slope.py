"""The direction in which scores grow where the best documents are, learnt from what was scored."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 0.1
"""The penalty, in mean squared distances of the vectors from their mean. From .03 to .3, searches
among a million documents found the same."""

MOST = 256
"""So many of the best are learnt from: what the equations cost grows by its cube."""


ALIKE = 1e-6
"""Vectors whose mean squared distance from their mean is less, in squared lengths, are the same."""


class Slopes:
    """Linear views of some queries' scores, which begin as given and are bent to what is scored.

    Each is the ridge regression, from the query's scores so far, of what they differ by from the
    first view: the mean of a Gaussian process whose prior is that view (Rasmussen and Williams
    2006, 2.1). It is solved by the products of the documents' vectors with each other, which are
    fewer than their components. Nothing but scores is needed, where another gradient costs twice
    what a score does and knows one document alone.

    Args:
        priors: `[q, dim] float32`, the first views: scores grow about by the product with a vector.
        by_angle: `[q] bool`: with a vector of length 1.

    Attributes:
        directions: `[q, dim] float32`, the views now.
        by_angle: As given.
    """

    def __init__(self, priors: Tensor, by_angle: Tensor) -> None:
        self.directions = priors
        self._priors = priors
        self.by_angle = by_angle
        self._vectors = priors.new_empty(len(priors), 0, priors.shape[1])
        self._scores = priors.new_empty(len(priors), 0)

    def learn(self, vectors: Tensor, scores: Tensor) -> None:
        """Take the vectors `[q, n, dim]` of documents and their scores `[q, n]`, on any device."""
        new = vectors.to(self._priors, copy=True)
        lengths = new.norm(dim=2, keepdim=True).clamp_min_(1e-12)
        new /= torch.where(self.by_angle[:, None, None], lengths, 1.0)
        self._vectors = torch.cat([self._vectors, new], dim=1)
        self._scores = torch.cat([self._scores, scores.to(self._priors)], dim=1)
        if self._scores.shape[1] > MOST:
            self._scores, best = self._scores.topk(MOST, dim=1)
            rows = torch.arange(len(best), device=best.device)[:, None]
            self._vectors = self._vectors[rows, best]
        self._solve()

    def only(self, queries: Tensor) -> Slopes:
        """The views of some of the queries, `[n] int64` or `[q] bool`."""
        some = Slopes(self._priors[queries], self.by_angle[queries])
        some.directions = self.directions[queries]
        some._vectors, some._scores = self._vectors[queries], self._scores[queries]
        return some

    def _solve(self) -> None:
        residuals = self._scores - torch.einsum("qnd,qd->qn", self._vectors, self._priors)
        residuals -= residuals.mean(dim=1, keepdim=True)
        centred = self._vectors - self._vectors.mean(dim=1, keepdim=True)
        products = centred @ centred.transpose(1, 2)
        diagonal = products.diagonal(dim1=1, dim2=2)
        spread = diagonal.mean(dim=1, keepdim=True)
        # Of vectors that are all the same, what differs is rounding.
        least = ALIKE * self._vectors.square().sum(dim=2).mean(dim=1, keepdim=True) + 1e-12
        diagonal += RIDGE * torch.maximum(spread, least)
        factors, failed = torch.linalg.cholesky_ex(products)
        weights = torch.cholesky_solve(residuals[:, :, None], factors)
        directions = self._priors + torch.einsum("qnd,qno->qd", centred, weights)
        # Scores may be infinite.
        sound = directions.isfinite().all(dim=1) & (failed == 0)
        self.directions = torch.where(sound[:, None], directions, self.directions)
