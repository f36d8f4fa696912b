"""From token states to one vector a text."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hypserini.errors import ModelError


def _cls(states: Tensor, mask: Tensor) -> Tensor:
    return states[:, 0]


def _max(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(mask.unsqueeze(-1) == 0, -math.inf).amax(1)


# Sums are of float32 at least: a narrow format cannot count a long text's tokens.


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return (_sum(states, mask) / _length(mask)).to(states.dtype)


def _mean_sqrt_len(states: Tensor, mask: Tensor) -> Tensor:
    return (_sum(states, mask) / _length(mask).sqrt()).to(states.dtype)


def _mean_with_pads(states: Tensor, mask: Tensor) -> Tensor:
    return (states.sum(1, dtype=_wide(states)) / _length(mask)).to(states.dtype)


def _weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Token number i counts i times."""
    weights = mask.cumsum(1) * mask
    return (_sum(states, weights) / _length(weights)).to(states.dtype)


def _last_token(states: Tensor, mask: Tensor) -> Tensor:
    last = mask.sum(1).clamp(min=1) - 1
    return states[torch.arange(len(states), device=states.device), last]


def _sum(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights.unsqueeze(-1).to(_wide(states))).sum(1)


def _length(weights: Tensor) -> Tensor:
    return weights.sum(1, keepdim=True)


def _wide(states: Tensor) -> torch.dtype:
    return torch.promote_types(states.dtype, torch.float32)


_POOLERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len": _mean_sqrt_len,
    "weightedmean": _weighted_mean,
    "lasttoken": _last_token,
    "mean_with_pads": _mean_with_pads,
}
# What sentence-transformers and Pyserini call the same.
_ALIASES = {"mean_sqrt_len_tokens": "mean_sqrt_len", "last": "lasttoken", "eos": "lasttoken"}

POOLINGS = tuple(_POOLERS)


def check_pooling(pooling: str) -> str:
    """Return a pooling under its present name: one of `POOLINGS`, or several joined by "+".

    Raises:
        ModelError: it is none; names those there are.
    """
    names = [_ALIASES.get(name, name) for name in str(pooling).split("+")]
    for name in names:
        if name not in _POOLERS:
            raise ModelError(
                f"unknown pooling {name!r}: use one of {', '.join(POOLINGS)}, or several joined by"
                " a plus sign."
            )
    return "+".join(names)


def pool(last_hidden_state: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """Reduce token states [n, length, dim] to vectors [n, dim * poolings].

    Args:
        last_hidden_state: the transformer's output.
        attention_mask: [n, length], 0 at the pads, which follow the tokens.
        pooling: `cls`, the first token's state; `lasttoken`, the last one's; over the tokens that
            are no pads, `max`, `mean`, `mean_sqrt_len` (their sum by the root of their number), or
            `weightedmean` (number i counts i times); `mean_with_pads`, the paper's code: it adds
            the pads' states too, although it divides by the number of real tokens, so a vector
            depends on the batch it was encoded in. Several joined by "+" are concatenated.
    """
    parts = [_POOLERS[name](last_hidden_state, attention_mask) for name in pooling.split("+")]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
