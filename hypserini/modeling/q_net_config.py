"""The shape and the options of a q-net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from hypserini.errors import ModelError

ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "leaky_relu")


@dataclass(frozen=True)
class QNetConfig:
    """What the hypernetwork must produce for one query, and how the q-net computes with it.

    The field names and defaults are those of `converter_kwargs` in the paper's checkpoints
    (arXiv 2502.05364, section 3.2; ../shared/FACTS.md). A custom q-net may extend this class with
    fields of its own and override `matrix_shapes` and `vector_sizes`.

    Attributes:
        vector_dimensions: the width of the input, of each hidden block, and of the output (1).
        activation_type: one of `ACTIVATIONS`.
        do_dropout: drop inputs of the hidden blocks while training.
        dropout_prob: how many of them, between 0 and 1.
        do_layer_norm: normalise each hidden block (no affine parameters, eps 1e-5).
        do_residual: add each hidden block's input to its output.
        do_residual_on_last: so too in the last hidden block; None means as `do_residual`.
        layer_norm_before_residual: normalise before the input is added, not after.
        q_net_type: the name under which the class is registered.
        add_query_vector: add the inner product of the document vector and a vector of the query,
            so that the network has to learn only what that one lacks; none of the paper's.
    """

    vector_dimensions: tuple[int, ...]
    activation_type: str = "relu"
    do_dropout: bool = False
    dropout_prob: float = 0.1
    do_layer_norm: bool = True
    do_residual: bool = True
    do_residual_on_last: bool | None = False
    layer_norm_before_residual: bool = True
    q_net_type: str = "dense_blocks"
    add_query_vector: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ModelError: a value is impossible; names it.
        """
        object.__setattr__(self, "vector_dimensions", tuple(int(d) for d in self.vector_dimensions))
        if self.do_residual_on_last is None:
            object.__setattr__(self, "do_residual_on_last", self.do_residual)
        self.validate()

    def validate(self) -> None:
        """Raise ModelError for values that describe no q-net; a custom config may override it."""
        dims = self.vector_dimensions
        if len(dims) < 2 or min(dims) < 1 or dims[-1] != 1:
            raise ModelError(
                f"vector_dimensions {list(dims)} of the q-net must be two or more positive "
                f"numbers, the last of them 1."
            )
        if self.activation_type not in ACTIVATIONS:
            raise ModelError(
                f"unknown activation_type {self.activation_type!r} of the q-net: "
                f"use one of {', '.join(ACTIVATIONS)}."
            )
        if not 0 <= self.dropout_prob < 1:
            raise ModelError(f"dropout_prob {self.dropout_prob} must be at least 0 and below 1.")
        if self.do_residual_on_last and not self.do_residual:
            raise ModelError("do_residual_on_last needs do_residual: set both or neither.")
        for block in range(len(dims) - 2):
            if self.has_residual(block) and dims[block] != dims[block + 1]:
                raise ModelError(
                    f"block {block} of the q-net has a residual but turns {dims[block]} into "
                    f"{dims[block + 1]} dimensions: make them equal or set do_residual to false."
                )

    @property
    def dim(self) -> int:
        """The dimension of the document vectors that the q-net scores."""
        return self.vector_dimensions[0]

    @property
    def matrix_shapes(self) -> list[tuple[int, int]]:
        """(in, out) of each weight matrix, first layer first."""
        dims = self.vector_dimensions
        return list(pairwise(dims))

    @property
    def vector_sizes(self) -> list[int]:
        """The length of each bias vector: one a hidden block, none for the output."""
        return list(self.vector_dimensions[1:-1])

    @property
    def part_shapes(self) -> list[tuple[int, ...]]:
        """Of one q-net's tensors, in the order of `QNet.parts`."""
        own = [(self.dim,)] if self.add_query_vector else []
        return [*self.matrix_shapes, *((size,) for size in self.vector_sizes), *own]

    @property
    def multiplications(self) -> int:
        """About how many the score of one document takes."""
        return sum(inputs * outputs for inputs, outputs in self.matrix_shapes)

    def has_residual(self, block: int) -> bool:
        """Whether hidden block `block` (from 0) adds its input to its output."""
        last = block == len(self.vector_dimensions) - 3
        return bool(self.do_residual_on_last if last else self.do_residual)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QNetConfig:
        """Make a config from a checkpoint's `converter_kwargs`.

        `q_net_config` of `modeling/q_net.py` chooses the config class by the values' `q_net_type`.

        Raises:
            ModelError: a key is unknown, `vector_dimensions` is missing, or a value is impossible.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ModelError(
                f"unknown q-net option {unknown[0]!r} in converter_kwargs: "
                f"the known ones are {', '.join(sorted(known))}."
            )
        if "vector_dimensions" not in values:
            raise ModelError("converter_kwargs has no vector_dimensions: the q-net's widths.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values; `from_dict` reads it back."""
        values = asdict(self)
        values["vector_dimensions"] = list(self.vector_dimensions)
        if not self.add_query_vector:  # a key that other readers of the paper's q-nets do not know
            del values["add_query_vector"]
        return values
