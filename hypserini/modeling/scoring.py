"""The fast path of the q-net: little else than the matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from hypserini.modeling.q_net import QNet


def score_dense(q_net: QNet, block: Tensor, out: Tensor) -> None:
    """Write the scores of `block` [n, dim] for every query into `out` [q, n]."""
    for i in range(len(q_net)):
        out[i] = q_net[i].forward(block, training=False)[0]
