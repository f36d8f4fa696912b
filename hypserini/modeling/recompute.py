"""Scores in chunks of queries whose activations are not kept but computed again for gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from hypserini.modeling.q_net import QNet

# So much may autograd keep of one scoring: computing it again takes a third more time.
KEEP_BYTES = 512 << 20
# Of what is computed again, so much is held at a time; small chunks would leave a GPU idle.
CHUNK_BYTES = 64 << 20
GPU_CHUNK_BYTES = 512 << 20
# Arrays of [documents, width] that autograd keeps of a hidden block: the block's input, and what
# its activation function and its layer norm were given.
KEPT_OF_A_BLOCK = 3


def score_differentiably(q_net: QNet, x: Tensor, training: bool) -> Tensor:
    """Score `x` [n, dim] or [q, n, dim] with q q-nets, with little memory beside theirs: [q, n].

    What autograd keeps of 64 q-nets of 6 blocks that score 512 documents takes twice the memory of
    their weights. Where it is much, the q-nets score a few at a time, and the backward pass scores
    once more, with the same dropout; no gradient of a gradient can then be taken.
    """
    chunk = queries_at_a_time(q_net, x)
    if chunk >= len(q_net):
        return q_net.forward(x, training)
    return _Recomputed.apply(q_net, x, training, chunk, *q_net.matrices, *q_net.vectors)


def queries_at_a_time(q_net: QNet, x: Tensor) -> int:
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
        ctx: Any, q_net: QNet, x: Tensor, training: bool, chunk: int, *weights: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, *weights)
        ctx.kind, ctx.config, ctx.training, ctx.chunk = type(q_net), q_net.config, training, chunk
        device = x.device.type
        ctx.autocast = {
            "enabled": torch.is_autocast_enabled(device),
            "dtype": torch.get_autocast_dtype(device),
        }
        ctx.random = _random_state(x.device) if training else []
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
        matrices = len(ctx.config.matrix_shapes)
        with _replayed(ctx.random, x.device):
            for rows in _chunks(len(weights[0]), ctx.chunk):
                part_x = (x if shared else x[rows]).detach().requires_grad_(of_x)
                part = [
                    weight[rows].detach().requires_grad_(needed)
                    for weight, needed in zip(weights, of_weights, strict=True)
                ]
                wanted = [tensor for tensor in (part_x, *part) if tensor.requires_grad]
                # The cache of autocast would keep the weights that it has cast.
                with (
                    torch.enable_grad(),
                    torch.autocast(x.device.type, cache_enabled=False, **ctx.autocast),
                ):
                    scores = ctx.kind(ctx.config, part[:matrices], part[matrices:]).forward(
                        part_x, ctx.training
                    )
                found = iter(
                    torch.autograd.grad(
                        scores, wanted, gradient[rows], allow_unused=True, materialize_grads=True
                    )
                )
                if x_gradient is not None:
                    (x_gradient if shared else x_gradient[rows]).add_(next(found))
                for whole in gradients:
                    if whole is not None:
                        whole[rows] = next(found)
        return None, None if x_gradient is None else x_gradient.to(x.dtype), None, None, *gradients


def _chunks(queries: int, chunk: int) -> list[slice]:
    return [slice(first, first + chunk) for first in range(0, queries, chunk)]


def _random_state(device: torch.device) -> list[Tensor]:
    """The states of the random generators that dropout on `device` may draw from."""
    states = [torch.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device))
    return states


@contextmanager
def _replayed(states: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """Draw the random numbers again that followed on `states`; nothing changes without states."""
    if not states:
        yield
        return
    devices = [] if device.type == "cpu" else [device]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(devices, device_type=kind):
        torch.set_rng_state(states[0])
        if devices:
            torch.get_device_module(device).set_rng_state(states[1], device)
        yield
