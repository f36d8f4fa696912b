"""What some bi-encoders put behind the pooling: dense layers and norms, one after another.

Each is described by a mapping that goes into the model's configuration: `type` is `dense`
(`in_features`, `out_features`, `bias`, `activation`, `residual`), `layer_norm` (`dimension`) or
`normalize`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from hypserini.errors import ModelError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    name: getattr(nn, name)
    for name in "Identity Tanh ReLU GELU Sigmoid SiLU LeakyReLU ELU Mish Softplus Hardtanh".split()
}


class Dense(nn.Module):
    """A linear layer and its activation; the residual, if any, is added after it."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool, activation: str, residual: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation = ACTIVATIONS[activation]()
        self.has_residual = residual
        if residual and in_features != out_features:
            self.residual = nn.Linear(in_features, out_features, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Project vectors [n, in_features] to [n, out_features]."""
        projected = self.activation(self.linear(vectors))
        if not self.has_residual:
            return projected
        return projected + (self.residual(vectors) if hasattr(self, "residual") else vectors)


class LayerNorm(nn.Module):
    """A layer norm with weights, under the name that sentence-transformers saves them."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)

    def forward(self, vectors: Tensor) -> Tensor:
        """Normalise vectors [n, dimension]."""
        return self.norm(vectors)


class Normalize(nn.Module):
    """Gives vectors the length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Normalise vectors [n, dim]."""
        return nn.functional.normalize(vectors, dim=-1)


def make_projections(descriptions: Sequence[Mapping[str, Any]]) -> nn.Sequential:
    """The modules that are described, in their order.

    Raises:
        ModelError: one is of a kind that nobody knows.
    """
    return nn.Sequential(*map(_make, descriptions))


def projected_width(width: int, descriptions: Sequence[Mapping[str, Any]]) -> int:
    """The dimension of vectors of `width` behind the modules.

    Raises:
        ModelError: a module takes vectors of another width.
    """
    for number, described in enumerate(descriptions, start=1):
        takes = described.get("in_features", described.get("dimension", width))
        if takes != width:
            raise ModelError(
                f"module {number} behind the model's pooling takes vectors of {takes} dimensions,"
                f" and those before it have {width}: they do not belong together."
            )
        width = described.get("out_features", width)
    return width


def _make(described: Mapping[str, Any]) -> nn.Module:
    kind = described.get("type")
    if kind == "dense":
        if described["activation"] not in ACTIVATIONS:
            raise ModelError(
                f"the activation {described['activation']} of a dense layer is not supported: use"
                f" one of {', '.join(ACTIVATIONS)}."
            )
        return Dense(
            described["in_features"],
            described["out_features"],
            described.get("bias", True),
            described["activation"],
            described.get("residual", False),
        )
    if kind == "layer_norm":
        return LayerNorm(described["dimension"])
    if kind == "normalize":
        return Normalize()
    raise ModelError(f"the model's config has a projection of the unknown type {kind!r}.")
