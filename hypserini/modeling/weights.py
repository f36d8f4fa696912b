"""What the kernels know of a q-net: its weights and its options, and not its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from hypserini.modeling.q_net_config import QNetConfig


class QNetWeights(Protocol):
    """A batch of `q` q-nets, as `QNet` is one.

    Attributes:
        config: Shape and options.
        matrices: One tensor `[q, in, out]` for each of `config.matrix_shapes`.
        vectors: One tensor `[q, out]` for each of `config.vector_sizes`.
    """

    config: QNetConfig
    matrices: list[Tensor]
    vectors: list[Tensor]

    def __init__(
        self, config: QNetConfig, matrices: Sequence[Tensor], vectors: Sequence[Tensor]
    ) -> None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: int | slice) -> Self:
        """The q-nets of some queries, as views."""

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights and of the arithmetic."""

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """The activation function of the hidden blocks."""

    def activation_(self, x: Tensor) -> Tensor:
        """The same, in place where torch can."""

    def detach(self) -> Self:
        """The same q-nets without the history that autograd needs."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """The scores `[q, n]` of `x` `[n, dim]` or `[q, n, dim]`."""
