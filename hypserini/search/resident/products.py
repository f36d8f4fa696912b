"""Inner products of vectors with directions, added up in float32 whatever they are kept as."""

from __future__ import annotations

import torch
from torch import Tensor

AT_ONCE = 1 << 16
"""Rows that are widened to float32 at once."""


def products(vectors: Tensor, directions: Tensor, by_angle: Tensor) -> Tensor:
    """The inner products of vectors `[n, dim]` with directions `[q, dim]`, `[q, n] float32`.

    Args:
        vectors: Of any number format, on any device.
        directions: `float32`, there.
        by_angle: `[q] bool`, there: divide by the vectors' lengths.
    """
    found = torch.empty(len(directions), len(vectors), device=vectors.device)
    for start in range(0, len(vectors), AT_ONCE):
        some = vectors[start : start + AT_ONCE].float()
        part = some @ directions.T
        lengths = some.norm(dim=1, keepdim=True).clamp_min_(1e-12)
        part /= torch.where(by_angle[None], lengths, 1.0)
        found[:, start : start + AT_ONCE] = part.T
    return found
