"""The fast path of the q-net: scores for a search, with little time beside the matrix products."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from hypserini.modeling.q_net import QNet

# A slice of rows is scored at a time, such that each thread's share of its activations stays in
# a second-level cache.
SLICE_BYTES = 3 << 18
# On a GPU there is memory for larger ones.
GPU_SLICE_BYTES = 1 << 29
# Matrices up to this size are multiplied for many queries in one call: alone, they are too small
# to be worth the start of an operation.
SMALL_MATRIX = 128 * 128
# oneDNN multiplies faster by weights in its own layout. That costs a copy of the weights, so they
# are brought into it once a q-net has scored this many rows.
PACK_AFTER_ROWS = 4096
PACK_FOR_ROWS = 512

logger = logging.getLogger(__name__)


class _Fused(NamedTuple):
    """OneDNN's operators: act(x W^T + b) in one pass, and weights brought into its layout."""

    linear: Any
    pack: Any


@cache
def _fused(dtype: torch.dtype) -> _Fused | None:
    """The fused operators, or None where torch does not have them for `dtype`.

    torch.compile builds on the same ones; torch has no public names for them.
    """
    try:
        operators = _Fused(
            torch.ops.mkldnn._linear_pointwise, torch.ops.mkldnn._reorder_linear_weight
        )
        if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return None
        probe = torch.eye(16, dtype=dtype)
        packed = operators.pack(probe, 16)
        if torch.equal(operators.linear(probe, packed, probe[0], "none", [], ""), probe + probe[0]):
            return operators
    except (AttributeError, RuntimeError):
        logger.debug("No fused products for %s.", dtype, exc_info=True)
    return None


class Packed:
    """The weights of one q-net as the fused product wants them, [out, in] in whatever layout.

    Shared by all threads: they read it, and the lock guards its making.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0
        self._weights: dict[int, list[Tensor]] = {}

    def weights(self, q_net: QNet, query: int, rows: int, fused: _Fused) -> list[Tensor]:
        """The matrices of one query, [out, in], packed once enough rows were scored."""
        packed = self._weights.get(query)
        if packed is not None:
            return packed
        plain = [matrix[query].t() for matrix in q_net.matrices]
        with self._lock:
            if query == 0:
                self._rows += rows
            if self._rows < PACK_AFTER_ROWS:
                return plain
            packed = [fused.pack(weight, PACK_FOR_ROWS) for weight in plain[:-1]]
            return self._weights.setdefault(query, [*packed, plain[-1]])


def score_dense(q_net: QNet, block: Tensor, out: Tensor) -> None:
    """Write the scores of `block` [n, dim] for every query into `out` [q, n].

    `block` has the q-nets' device and dtype; no autograd.
    """
    if not q_net.vectors:  # no hidden block: dot products with one vector a query
        out.copy_(torch.mm(q_net.matrices[0].squeeze(-1), block.t()))
        return
    config = q_net.config
    on_cpu = block.device.type == "cpu"
    budget = SLICE_BYTES * torch.get_num_threads() if on_cpu else GPU_SLICE_BYTES
    # The rows of one query's activations that fit into a slice.
    rows = max(64, budget // (max(config.vector_dimensions) * block.element_size()) // 64 * 64)
    small = max(inputs * outputs for inputs, outputs in config.matrix_shapes) <= SMALL_MATRIX
    fused = _fused(q_net.dtype) if on_cpu and not small else None
    if fused is None:
        _score_together(q_net, block, out, rows)
    else:
        _score_each(q_net, block, out, rows, fused)


def _score_together(q_net: QNet, block: Tensor, out: Tensor, rows: int) -> None:
    """Score by batched products over as many queries as fit into a slice."""
    group = max(1, rows // max(1, len(block)))
    for first in range(0, len(q_net), group):
        part = q_net[first : first + group]
        biases = [vector.unsqueeze(1) for vector in part.vectors]

        def product(
            x: Tensor, layer: int, part: QNet = part, biases: list[Tensor] = biases
        ) -> Tensor:
            if layer == len(biases):
                return torch.bmm(x, part.matrices[layer])
            return part.activation_(torch.baddbmm(biases[layer], x, part.matrices[layer]))

        for start in range(0, len(block), rows):
            x = block[start : start + rows].expand(len(part), -1, -1)
            out[first : first + group, start : start + rows] = _score_slice(q_net, x, product)


def _score_each(q_net: QNet, block: Tensor, out: Tensor, rows: int, fused: _Fused) -> None:
    """Score query by query, bias and relu fused into the products."""
    relu = q_net.config.activation_type == "relu"
    for query in range(len(q_net)):
        weights = q_net.packed.weights(q_net, query, len(block), fused)
        biases = [vector[query] for vector in q_net.vectors]

        def product(
            x: Tensor, layer: int, weights: list[Tensor] = weights, biases: list[Tensor] = biases
        ) -> Tensor:
            if layer == len(biases):
                return torch.mm(x, weights[layer].t())
            y = fused.linear(x, weights[layer], biases[layer], "relu" if relu else "none", [], "")
            return y if relu else q_net.activation_(y)

        for start in range(0, len(block), rows):
            x = block[start : start + rows]
            out[query, start : start + rows] = _score_slice(q_net, x, product)


def _score_slice(q_net: QNet, x: Tensor, product: Callable[[Tensor, int], Tensor]) -> Tensor:
    """The scores [..., n] of `x` [..., n, dim]: `QNet.forward` in place.

    `product` computes act(x W + b) of a hidden block, and x w of the output.
    """
    config = q_net.config
    output = len(q_net.vectors)
    for block in range(output):
        y = product(x, block)
        if config.do_layer_norm and config.layer_norm_before_residual:
            y = F.layer_norm(y, y.shape[-1:])
        if config.has_residual(block):
            y.add_(x)
        if config.do_layer_norm and not config.layer_norm_before_residual:
            y = F.layer_norm(y, y.shape[-1:])
        x = y
    return product(x, output).squeeze(-1)
