"""Scores in chunks of queries whose activations are not kept but computed again for gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hypserini.modeling.weights import QNetWeights

# So much may autograd keep of one scoring: computing it again takes a third more time.
KEEP_BYTES = 512 << 20
# Of what is computed again, so much is held at a time; small chunks would leave a GPU idle.
CHUNK_BYTES = 64 << 20
GPU_CHUNK_BYTES = 512 << 20
# Arrays of [documents, width] that autograd keeps of a hidden block: the block's input, and what
# its activation function and its layer norm were given.
KEPT_OF_A_BLOCK = 3


def score_differentiably(q_net: QNetWeights, x: Tensor, training: bool) -> Tensor:
    """Score `x` [n, dim] or [q, n, dim] with q q-nets, with little memory beside theirs: [q, n].

    What autograd keeps of 64 q-nets of 6 blocks that score 512 documents takes twice the memory of
    their weights. Where it is much, the q-nets score a few at a time, and the backward pass scores
    once more, with the same dropout; no gradient of a gradient can then be taken.
    """
    chunk = queries_at_a_time(q_net, x)
    if chunk >= len(q_net):
        return q_net.forward(x, training)
    return _Recomputed.apply(q_net, x, training, chunk, *q_net.matrices, *q_net.vectors)


def queries_at_a_time(q_net: QNetWeights, x: Tensor) -> int:
    """How many q-nets score `x` together: all of them, unless autograd would keep too much."""
    widths = sum(outputs for _, outputs in q_net.config.matrix_shapes)
    kept = x.shape[-2] * widths * KEPT_OF_A_BLOCK * q_net.matrices[0].element_size()
    if kept * len(q_net) <= KEEP_BYTES:
        return len(q_net)
    gradients = sum(tensor.nbytes for tensor in (*q_net.matrices, *q_net.vectors)) // len(q_net)
    most = CHUNK_BYTES if x.device.type == "cpu" else GPU_CHUNK_BYTES
    return max(1, most // (kept + gradients))


class _Recomputed(torch.autograd.Function):
    """`QNet.forward` in chunks of queries; remembers its arguments alone."""

    @staticmethod
    def forward(
        ctx: Any, q_net: QNetWeights, x: Tensor, training: bool, chunk: int, *weights: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, *weights)
        ctx.kind, ctx.config, ctx.training, ctx.chunk = type(q_net), q_net.config, training, chunk
        device = x.device.type
        ctx.autocast = {
            "enabled": torch.is_autocast_enabled(device),
            "dtype": torch.get_autocast_dtype(device),
        }
        ctx.random = _random_states(x.device) if training else []
        return torch.cat(
            [
                q_net[rows].forward(x if x.dim() == 2 else x[rows], training)
                for rows in _chunks(len(q_net), chunk)
            ]
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        _, of_x, _, _, *of_weights = ctx.needs_input_grad
        shared = x.dim() == 2
        # The gradients of shared documents are summed over the chunks: not in half precision.
        exact = torch.promote_types(x.dtype, torch.float32) if shared else x.dtype
        x_gradient = torch.zeros_like(x, dtype=exact) if of_x else None
        gradients = [
            torch.empty_like(weight) if needed else None
            for weight, needed in zip(weights, of_weights, strict=True)
        ]
        with _replayed(ctx.random, x.device):
            for rows in _chunks(len(weights[0]), ctx.chunk):
                parts = [x if shared else x[rows], *(weight[rows] for weight in weights)]
                of_part_x, *of_part = _gradients(ctx, parts, gradient[rows])
                if x_gradient is not None:
                    (x_gradient if shared else x_gradient[rows]).add_(of_part_x)
                for whole, part in zip(gradients, of_part, strict=True):
                    if whole is not None:
                        whole[rows] = part
                del of_part  # before the next ones are made
        return None, None if x_gradient is None else x_gradient.to(x.dtype), None, None, *gradients


def _gradients(ctx: Any, parts: Sequence[Tensor], gradient: Tensor) -> list[Any]:
    """Score a chunk once more and go backwards through that.

    Args:
        ctx: of `_Recomputed`.
        parts: the chunk's documents and weights.
        gradient: with respect to the chunk's scores.

    Returns:
        The gradient with respect to each of `parts`, None where it is not needed.
    """
    needed = ctx.needs_input_grad[1:2] + ctx.needs_input_grad[4:]
    x, *weights = (
        part.detach().requires_grad_(wanted) for part, wanted in zip(parts, needed, strict=True)
    )
    matrices = len(ctx.config.matrix_shapes)
    with (
        torch.enable_grad(),
        # The cache would hold the weights that were cast.
        torch.autocast(x.device.type, cache_enabled=False, **ctx.autocast),
    ):
        q_net = ctx.kind(ctx.config, weights[:matrices], weights[matrices:])
        scores = q_net.forward(x, ctx.training)
    wanted = [tensor for tensor in (x, *weights) if tensor.requires_grad]
    found = iter(
        # A q-net of the user's own need not use all of its weights.
        torch.autograd.grad(scores, wanted, gradient, allow_unused=True, materialize_grads=True)
    )
    return [next(found) if tensor.requires_grad else None for tensor in (x, *weights)]


def _chunks(queries: int, chunk: int) -> list[slice]:
    return [slice(first, first + chunk) for first in range(0, queries, chunk)]


def _random_states(device: torch.device) -> list[Tensor]:
    """The states of the generators that dropout on `device` may draw from."""
    states = [torch.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(*_place(device)))
    return states


def _set_random_states(states: Sequence[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[1], *_place(device))


def _place(device: torch.device) -> list[torch.device]:
    """How a device's random numbers are named: those of mps have no name."""
    return [] if device.type == "mps" else [device]


@contextmanager
def _replayed(states: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """Draw the random numbers again that followed on `states`; nothing changes without states."""
    if not states:
        yield
        return
    present = _random_states(device)
    _set_random_states(states, device)
    try:
        yield
    finally:
        _set_random_states(present, device)
