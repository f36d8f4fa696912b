"""The fast path of the q-net: scores for a search, with little time beside the matrix products."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from hypserini.modeling.devices import adds_up_wide
from hypserini.modeling.onednn import ROWS, Operators, operators
from hypserini.modeling.weights import QNetWeights
from hypserini.modeling.workers import run_apart

# A thread scores a slice of rows at a time, such that its activations stay in its core's cache.
SLICE_BYTES = 3 << 19
# Slices have a multiple of so many rows: a product rounds the rows of an odd remainder differently,
# and equal documents should score equally.
TILE = 64
# On a GPU there is memory for larger ones.
GPU_SLICE_BYTES = 1 << 29
# Where a product takes the bias and the relu with it, so that activations are written once and not
# three times: cuBLAS. Blocks of fewer rows are shorter than the start of an operation a query.
FUSING = ("cuda",)
FUSED_ROWS = 4096
WIDENED = 1 << 16
"""Vectors of a narrow format that are widened at once."""
# Matrices up to this size are multiplied for many queries in one call: alone, they are too small
# to be worth the start of an operation.
SMALL_MATRIX = 128 * 128
# oneDNN multiplies faster by weights in its own layout. That costs a copy of the weights, so they
# are brought into it once a q-net has scored this many rows.
PACK_AFTER_ROWS = 4096


class Packed:
    """The weights of one q-net as the fused product wants them, [out, in] in whatever layout.

    Shared by all threads: they read it, and the lock guards its making.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0
        self._weights: dict[int, list[Tensor]] = {}

    def weights(self, q_net: QNetWeights, query: int, rows: int, fused: Operators) -> list[Tensor]:
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
            packed = [fused.pack(weight, ROWS) for weight in plain[:-1]]
            return self._weights.setdefault(query, [*packed, plain[-1]])


def score_dense(q_net: QNetWeights, block: Tensor, out: Tensor, packed: Packed) -> None:
    """Write the scores of `block` [n, dim] for every query into `out` [q, n].

    `block` has the q-nets' device and dtype; `packed` is theirs, kept between blocks; no autograd.
    """
    if not q_net.vectors:  # no hidden block: dot products with one vector a query
        out.copy_(products(q_net.matrices[0].squeeze(-1), block))
        return
    config = q_net.config
    on_cpu = block.device.type == "cpu"
    row_bytes = max(config.vector_dimensions) * block.element_size()
    small = max(inputs * outputs for inputs, outputs in config.matrix_shapes) <= SMALL_MATRIX
    fused = operators(q_net.dtype) if on_cpu and not small else None
    if fused is None:
        budget = SLICE_BYTES * torch.get_num_threads() if on_cpu else GPU_SLICE_BYTES
        _score_together(q_net, block, out, _tiles(budget / row_bytes))
    else:
        _score_each(q_net, block, out, _tiles(SLICE_BYTES / row_bytes), packed, fused)


def products(vectors: Tensor, block: Tensor) -> Tensor:
    """The inner products `[q, n]` of vectors `[q, dim]` with a block `[n, dim]` of their format.

    Of a narrow format they come out in float32: rounded, a ranking's would be equal by the dozen.
    """
    if vectors.dtype not in (torch.bfloat16, torch.float16):
        return torch.mm(vectors, block.t())
    if block.device.type != "cpu" and adds_up_wide(vectors.dtype, block.device):
        return torch.mm(vectors, block.t(), out_dtype=torch.float32)
    return widened_products(vectors.float(), block)


def widened_products(directions: Tensor, vectors: Tensor) -> Tensor:
    """The inner products `[q, n]` of `float32` directions with vectors of any format."""
    found = torch.empty(len(directions), len(vectors), device=vectors.device)
    for start in range(0, len(vectors), WIDENED):
        some = vectors[start : start + WIDENED].float()
        found[:, start : start + WIDENED] = (some @ directions.T).T
    return found


def _tiles(rows: float) -> int:
    return max(1, math.ceil(rows / TILE)) * TILE


@cache
def _identity(width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        return (
            torch.ones(width, dtype=dtype, device=device),
            torch.zeros(width, dtype=dtype, device=device),
        )


def layer_norm(x: Tensor) -> Tensor:
    """Normalise the last axis of `x`, without affine parameters, eps 1e-5."""
    # A scale of 1 and a shift of 0 change nothing, but torch is twice as fast with them: without,
    # its loop on the CPU is not vectorised.
    width = x.shape[-1]
    return F.layer_norm(x, (width,), *_identity(width, x.dtype, x.device))


def _score_together(q_net: QNetWeights, block: Tensor, out: Tensor, rows: int) -> None:
    """Score by batched products over as many queries as fit into a slice."""
    relu = q_net.config.activation_type == "relu"
    fuses = relu and block.device.type in FUSING and len(block) >= FUSED_ROWS
    group = 1 if fuses else max(1, rows // max(1, len(block)))
    for first in range(0, len(q_net), group):
        part = q_net[first : first + group]
        product = _fused(part) if fuses else _batched(part)
        for start in range(0, len(block), rows):
            x = block[start : start + rows].expand(len(part), -1, -1)
            out[first : first + group, start : start + rows] = _score_slice(q_net, x, product)


def score_groups_dense(q_net: QNetWeights, points: Tensor) -> Tensor:
    """The scores `[q, n]` of `points` `[q, n, dim]`, some of each query's own; as `score_dense`."""
    return _score_slice(q_net, points, _batched(q_net)).float()


def _batched(q_net: QNetWeights) -> Callable[[Tensor, int], Tensor]:
    """The products of all queries in one call; for `_score_slice`."""
    biases = [vector.unsqueeze(1) for vector in q_net.vectors]

    def product(x: Tensor, layer: int) -> Tensor:
        if layer == len(biases):
            return _output(x, q_net.matrices[layer])
        return q_net.activation_(torch.baddbmm(biases[layer], x, q_net.matrices[layer]))

    return product


def _fused(q_net: QNetWeights) -> Callable[[Tensor, int], Tensor]:
    """The products of one query with bias and relu in them; for `_score_slice`."""
    biases = [vector[0] for vector in q_net.vectors]

    def product(x: Tensor, layer: int) -> Tensor:
        weights = q_net.matrices[layer]
        if layer == len(biases):
            return _output(x, weights)
        return torch._addmm_activation(biases[layer], x[0], weights[0]).unsqueeze(0)

    return product


def _output(x: Tensor, weights: Tensor) -> Tensor:
    """The scores x w [q, n, 1], computed in the place of `x`.

    A CPU multiplies matrices by one column in another order for one query than for several. Sums of
    products are equal for all, and faster.
    """
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return x.mul_(weights.transpose(1, 2)).sum(-1, keepdim=True)
    # Of a narrow format, a ranking's scores would come out equal by the dozen.
    if x.device.type != "cpu" and adds_up_wide(x.dtype, x.device):
        return torch.bmm(x, weights, out_dtype=torch.float32)
    return torch.bmm(x.float(), weights.float())


def _score_each(
    q_net: QNetWeights, block: Tensor, out: Tensor, rows: int, packed: Packed, fused: Operators
) -> None:
    """Score query by query, each thread its slices of the rows, bias and relu fused."""
    queries, documents, threads = len(q_net), len(block), torch.get_num_threads()
    relu = q_net.config.activation_type == "relu"
    weights = [packed.weights(q_net, i, documents, fused) for i in range(queries)]
    rows = min(rows, _tiles(documents / threads))
    # Too few rows to share out: share out the queries.
    group = math.ceil(queries / threads) if documents <= rows else queries

    def task(first: int, start: int) -> None:
        x = block[start : start + rows]
        with torch.no_grad():
            for query in range(first, min(first + group, queries)):
                biases = [vector[query] for vector in q_net.vectors]
                product = partial(multiply, weights[query], biases)
                out[query, start : start + rows] = _score_slice(q_net, x, product)

    def multiply(weights: list[Tensor], biases: list[Tensor], x: Tensor, layer: int) -> Tensor:
        if layer == len(biases):
            last = weights[layer]
            if x.dtype is torch.float32:
                return fused.product(x, last)
            return x.float() @ last[0].float().unsqueeze(1)  # see _output
        y = fused.product(x, weights[layer], biases[layer], "relu" if relu else "none")
        return y if relu else q_net.activation_(y)

    run_apart(
        [
            partial(task, first, start)
            for start in range(0, documents, rows)
            for first in range(0, queries, group)
        ]
    )


def _score_slice(q_net: QNetWeights, x: Tensor, product: Callable[[Tensor, int], Tensor]) -> Tensor:
    """The scores [..., n] of `x` [..., n, dim]: `QNet.forward` in place.

    `product` computes act(x W + b) of a hidden block, and x w of the output.
    """
    config = q_net.config
    output = len(q_net.vectors)
    for block in range(output):
        y = product(x, block)
        if config.do_layer_norm and config.layer_norm_before_residual:
            y = layer_norm(y)
        if config.has_residual(block):
            y.add_(x)
        if config.do_layer_norm and not config.layer_norm_before_residual:
            y = layer_norm(y)
        x = y
    return product(x, output).squeeze(-1)
