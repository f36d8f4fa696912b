"""The gradient of a q-net's score with respect to the document vector, in closed form."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from hypserini.modeling.onednn import operators
from hypserini.modeling.weights import QNetWeights
from hypserini.modeling.workers import WORTH_SHARING, run_apart

LAYER_NORM_EPS = 1e-5

POINTS = 24
"""Points that a thread follows at a time: threads that share the operations of 48 wait longer for
each other than these take."""


def gradient_apart(q_net: QNetWeights, points: Tensor, mean: bool) -> tuple[Tensor, Tensor]:
    """`gradient_dense` on a CPU: query by query and some points at a time, each thread a share.

    Products of matrices with one vector each would be slower batched.
    """
    count = points.shape[1]
    at_once = POINTS if count * q_net.config.multiplications > WORTH_SHARING else max(1, count)
    scores = points.new_empty(len(q_net), count)
    gradients = torch.empty_like(points)

    def task(query: int, start: int) -> None:
        here = slice(start, start + at_once)
        with torch.no_grad():
            one = q_net[query : query + 1]
            found = gradient_dense(one, points[query : query + 1, here], mean)
            scores[query, here], gradients[query, here] = found[0][0], found[1][0]

    starts = range(0, count, at_once)
    run_apart([partial(task, query, start) for query in range(len(q_net)) for start in starts])
    return scores, gradients.mean(1, keepdim=True) if mean else gradients


def gradient_dense(q_net: QNetWeights, points: Tensor, mean: bool = False) -> tuple[Tensor, Tensor]:
    """Scores, and their gradients, of a q-net of dense blocks; a third of the time of autograd.

    Backwards through `x = LN(act(x W + b)) + x` and `x w`. The mean of the gradients is cheaper
    than the gradients: the last product backwards, by `W` of the first block, is linear.

    Args:
        q_net: `q` q-nets.
        points: `[q, m, dim]` document vectors, of the q-nets' device and dtype.
        mean: Only the mean of the gradients is wanted.

    Returns:
        The scores `[q, m]`, and the gradients `[q, m, dim]`, or their mean `[q, 1, dim]`: the
        direction in document space in which each score grows fastest.
    """
    config = q_net.config
    before = config.do_layer_norm and config.layer_norm_before_residual
    after = config.do_layer_norm and not config.layer_norm_before_residual
    x = points
    slopes: list[Tensor] = []
    norms: list[_Norm | None] = []
    for block, bias in enumerate(q_net.vectors):
        z = _product(x, q_net.matrices[block].transpose(1, 2), bias)
        y = q_net.activation(z)
        slopes.append(_slope(config.activation_type, z, y))
        norm = None
        if before:
            norm = _Norm(y)
            y = norm.output
        if config.has_residual(block):
            y = y + x
        if after:
            norm = _Norm(y)
            y = norm.output
        norms.append(norm)
        x = y
    scores = _product(x, q_net.matrices[-1].transpose(1, 2)).squeeze(-1)
    g = q_net.matrices[-1].transpose(1, 2).expand(-1, points.shape[1], -1)
    for block in reversed(range(len(q_net.vectors))):
        norm = norms[block]
        if after and norm is not None:
            g = norm.backward(g)
        straight = g
        if before and norm is not None:
            g = norm.backward(g)
        g = g * slopes[block]
        if mean and block == 0:
            g, straight = g.mean(1, keepdim=True), straight.mean(1, keepdim=True)
        g = _product(g, q_net.matrices[block])
        if config.has_residual(block):
            g = g + straight
    return scores, g if g.shape[1] == 1 or not mean else g.mean(1, keepdim=True)


def _product(x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x W^T + b`, `[q, m, out]`, of `x` `[q, m, in]` and `weights` `[q, out, in]`."""
    fused = operators(x.dtype) if len(x) == 1 and x.device.type == "cpu" else None
    if fused is not None:
        one = None if bias is None else bias[0]
        return fused.product(x[0], weights[0], one).unsqueeze(0)
    if bias is None:
        return torch.bmm(x, weights.transpose(1, 2))
    return torch.baddbmm(bias.unsqueeze(1), x, weights.transpose(1, 2))


def gradient_autograd(
    q_net: QNetWeights, points: Tensor, mean: bool = False
) -> tuple[Tensor, Tensor]:
    """The same of any q-net that autograd can follow; arguments as `gradient_dense`."""
    with torch.enable_grad():
        x = points.detach().clone().requires_grad_()
        scores = q_net.detach().forward(x, training=False)
        gradients = torch.autograd.grad(scores.sum(), x)[0]
    return scores.detach(), gradients.mean(1, keepdim=True) if mean else gradients


class _Norm:
    """LN(a), and its backward pass."""

    def __init__(self, a: Tensor) -> None:
        self._a = a.contiguous()
        self.output, self._mean, self._inverse = torch.native_layer_norm(
            self._a, a.shape[-1:], None, None, LAYER_NORM_EPS
        )

    def backward(self, g: Tensor) -> Tensor:
        """The gradient with respect to `a`, given that with respect to LN(a)."""
        shape = list(self._a.shape[-1:])
        return torch.ops.aten.native_layer_norm_backward(
            *(g.contiguous(), self._a, shape, self._mean, self._inverse, None, None),
            [True, False, False],
        )[0]


def _slope(activation: str, z: Tensor, y: Tensor) -> Tensor:
    """The derivative of an activation function at `z`, where it is `y`."""
    if activation == "relu":
        return (z > 0).to(z.dtype)
    if activation == "tanh":
        return 1 - y * y
    if activation == "sigmoid":
        return y * (1 - y)
    if activation == "leaky_relu":
        return torch.where(z > 0, 1.0, 0.01).to(z.dtype)
    if activation == "gelu":
        return torch.special.ndtr(z) + z * torch.exp(-0.5 * z * z) * (0.5 / torch.pi) ** 0.5
    raise ValueError(f"no slope for the activation {activation}")
