"""Inner products of vectors with directions, added up in float32 whatever they are kept as."""

from __future__ import annotations

import torch
from torch import Tensor

from hypserini.modeling.devices import adds_up_wide
from hypserini.modeling.scoring import WIDENED, widened_products

PARTS = 3
"""Narrow numbers whose sum a direction's component is: three of bfloat16 have all its bits."""


def products(vectors: Tensor, directions: Tensor, by_angle: Tensor, lengths: Tensor) -> Tensor:
    """The inner products of vectors `[n, dim]` with directions `[q, dim]`, `[q, n] float32`.

    Args:
        vectors: Of any number format, on any device.
        directions: `float32`, there.
        by_angle: `[q] bool`, there: divide by the vectors' lengths.
        lengths: `[n] float32`, there, which are above zero.
    """
    # Narrow numbers are multiplied exactly and added up in float32, in one pass over the vectors.
    narrow = adds_up_wide(vectors.dtype, vectors.device)
    multiply = _by_parts if narrow else widened_products
    found = multiply(directions, vectors)
    return found.div_(torch.where(by_angle[:, None], lengths, 1.0))


def lengths_of(vectors: Tensor) -> Tensor:
    """How long vectors `[n, dim]` are, `[n] float32`; those of zeros not quite zero."""
    found = [part.float().norm(dim=1) for part in vectors.split(WIDENED)]
    return torch.cat(found).clamp_min_(1e-12)


def in_parts(directions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Directions `[q, dim]` as sums of narrow ones.

    Returns:
        `[PARTS, q, dim]` of `dtype`, no component above 1, and `[q, 1]` by which their sums are to
        be multiplied.
    """
    scale = directions.abs().amax(dim=1, keepdim=True).clamp_min(1e-30)
    rest = directions / scale
    parts = []
    for _ in range(PARTS):
        parts.append(rest.to(dtype))
        rest = rest - parts[-1].float()
    return torch.stack(parts), scale


def _by_parts(directions: Tensor, vectors: Tensor) -> Tensor:
    parts, scale = in_parts(directions, vectors.dtype)
    each = torch.mm(parts.flatten(0, 1), vectors.T, out_dtype=torch.float32)
    return each.view(PARTS, len(directions), -1).sum(dim=0).mul_(scale)
