"""How the search for what is nearest to a direction is steered: by Lucene's own search, or ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from hypserini.index.reader import Index

FAR = 8.0
"""So many times as far off as the vectors are long, what is nearest by distance is what has the
largest inner product, though the vectors differ a little in length."""


@dataclass(frozen=True, slots=True)
class Steering:
    """How Lucene is given a direction.

    Attributes:
        fits: The graph was built by what the scores follow, so that little of it need be seen.
        by_angle: Scores follow the angle with the direction, not the inner product.
        by_format: By Lucene's own search in the format, of the quantised copy if there is one;
            otherwise by a best-first search of ours, of the raw vectors.
        length: That of a direction, which is of no matter to the ranking, but to what quantises it
            and to distances.
    """

    fits: bool
    by_angle: bool
    by_format: bool
    length: float

    def aim(self, direction: torch.Tensor) -> torch.Tensor:
        """The direction `[dim]`, in the length that it is searched by."""
        return direction * (self.length / direction.norm().clamp_min(1e-30))


def steer(
    index: Index, by_angle: bool, way: Literal["format", "floats"] | str | None = None
) -> Steering:
    """How to steer by a direction.

    Lucene's own search ranks by the field's similarity. Where all vectors are about equally long,
    angle, distance and inner product rank alike; elsewhere it serves what that similarity is. It is
    taken with Lucene 10, where it is as good as ours and quicker, and keeps to the quantised copy.

    Args:
        index: The index.
        by_angle: Scores follow the angle with the direction, not the inner product.
        way: Take this one, to compare them; the format's only where it ranks by the direction.
    """
    fits = index.equally_long or (index.similarity == "cosine" and by_angle)
    by_product = index.similarity in ("inner_product", "dot_product")
    ranks = fits or (by_product and not by_angle)
    length = index.mean_length
    if index.similarity == "dot_product":  # which Lucene cuts below -1
        length = 1 / max(length, 1e-30)
    elif index.similarity == "l2" and not index.is_quantized:
        length *= FAR
    by_format = ranks and (way == "format" or (way is None and index.suits_format_search))
    return Steering(fits, by_angle, by_format, length)
