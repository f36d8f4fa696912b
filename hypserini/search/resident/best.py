"""The best rows of each of some queries, kept on one device: by score, and at equal ones by docid.

A row and its score are one number of 64 bits, so that the device ranks both at once: above the bits
of the score, in an order that integers have, below the place of the row's docid among all docids,
from the last to the first.
"""

from __future__ import annotations

import torch
from torch import Tensor

LOW = 0x7FFFFFFF
"""The largest number of 31 bits: what a place takes, and a mask."""


def keys_of(scores: Tensor, places: Tensor) -> Tensor:
    """What ranks as scores `[q, n] float32`, and at equal ones as places `[n]` or `[q, n]` do.

    A score that is not a number is the best of all, so that it comes to light.
    """
    bits = (scores + 0.0).view(torch.int32)  # -0. and 0. are equal, their bits are not
    bits = bits ^ ((bits >> 31) & LOW)  # of negative numbers, larger bits are less
    bits = bits.masked_fill(scores.isnan(), LOW)
    return (bits.long() << 32) | (LOW - places.long())


def scores_of(keys: Tensor) -> Tensor:
    """The scores that are in keys, `float32`."""
    bits = (keys >> 32).int()
    return (bits ^ ((bits >> 31) & LOW)).view(torch.float32)


def places_of(keys: Tensor) -> Tensor:
    """The places that are in keys."""
    return LOW - (keys & LOW)


class BestRows:
    """The best rows of each of some queries, on one device.

    Args:
        queries: How many queries there are.
        k: Rows kept of each.
        device: Where scores come from.

    Attributes:
        keys: `[queries, up to k]`, the best first; see `keys_of`.
    """

    def __init__(self, queries: int, k: int, device: torch.device) -> None:
        self.k = k
        self.keys = torch.empty(queries, 0, dtype=torch.long, device=device)

    def offer(self, scores: Tensor, places: Tensor) -> None:
        """Take scores `[q, n]` of rows by the places `[n]` of their docids, or `[q, n]`."""
        if self.keys.device.type == "cpu" and self.keys.shape[1] == self.k:
            # A look costs less than ranking; on a GPU it would mean to wait.
            near = (~(scores < self.worst())).any(dim=0).nonzero()[:, 0]
            if not len(near):
                return
            if len(near) < scores.shape[1]:
                scores, places = scores[:, near], places[..., near]
        keys = torch.cat([self.keys, keys_of(scores, places)], dim=1)
        self.keys = keys.topk(min(self.k, keys.shape[1]), dim=1).values

    def worst(self) -> Tensor:
        """The last of the scores kept, `[q, 1]`, where there are any."""
        return scores_of(self.keys[:, -1:])

    @property
    def places(self) -> Tensor:
        """Where the docids of the rows kept stand among all, `[q, up to k]`."""
        return places_of(self.keys)

    @property
    def scores(self) -> Tensor:
        """What the rows kept scored, `[q, up to k] float32`."""
        return scores_of(self.keys)
