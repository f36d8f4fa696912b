"""From token states to one vector a text."""

from __future__ import annotations

from torch import Tensor

from hypserini.errors import ModelError

POOLINGS = ("cls", "mean", "mean_with_pads")


def check_pooling(pooling: str) -> str:
    """Return `pooling` if it is one of `POOLINGS`, else raise ModelError naming them."""
    if pooling not in POOLINGS:
        raise ModelError(f"unknown pooling {pooling!r}: use one of {', '.join(POOLINGS)}.")
    return pooling


def pool(last_hidden_state: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """Reduce token states [n, length, dim] to vectors [n, dim].

    Args:
        last_hidden_state: the transformer's output.
        attention_mask: [n, length], 0 at the pads.
        pooling: `cls`, the first token's state; `mean`, over the tokens that are no pads;
            `mean_with_pads`, the paper's code: it adds the pads' states too, although it divides
            by the number of real tokens, so a vector depends on the batch it was encoded in.
    """
    if pooling == "cls":
        return last_hidden_state[:, 0]
    mask = attention_mask.unsqueeze(-1).to(last_hidden_state.dtype)
    if pooling == "mean":
        last_hidden_state = last_hidden_state * mask
    return last_hidden_state.sum(1) / mask.sum(1)
