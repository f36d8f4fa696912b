"""Inner products of vectors with a direction, added up in float32 whatever they are kept as."""

from __future__ import annotations

import torch
from torch import Tensor

AT_ONCE = 1 << 16
"""Rows that are widened to float32 at once."""


def products(vectors: Tensor, direction: Tensor, by_angle: bool = False) -> Tensor:
    """The inner products of vectors `[n, dim]` with a direction `[dim]`, `[n] float32`.

    Args:
        vectors: Of any number format, on any device.
        direction: On any device.
        by_angle: Divide by the vectors' lengths.
    """
    direction = direction.to(vectors.device, torch.float32)
    found = torch.empty(len(vectors), device=vectors.device)
    for start in range(0, len(vectors), AT_ONCE):
        some = vectors[start : start + AT_ONCE].float()
        part = found[start : start + AT_ONCE]
        torch.mv(some, direction, out=part)
        if by_angle:
            part.div_(some.norm(dim=1).clamp_min_(1e-12))
    return found
