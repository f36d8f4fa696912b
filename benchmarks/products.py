"""Bare matrix products of given shapes: what measured times are set against.

By `torch.mm`, which on a CPU goes through MKL, and by oneDNN with weights in its own layout, which
on processors of AMD takes a half or a third of that. "Bare" means: the inputs are there, nothing is
added, nothing is normalised, nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hypserini.modeling.onednn import ROWS, operators

Shape = tuple[int, int, int]
"""Rows, inputs and outputs of one product."""


def bare_products(shapes: Sequence[Shape]) -> dict[str, Callable[[], None]]:
    """Runs all products once, by name of the library; the weights are all different ones."""
    inputs = [torch.randn(rows, width) for rows, width, _ in shapes]
    weights = [torch.randn(outputs, width) for _, width, outputs in shapes]

    def by_mkl() -> None:
        with torch.inference_mode():
            for x, weight in zip(inputs, weights, strict=True):
                torch.mm(x, weight.t())

    found: dict[str, Callable[[], None]] = {"torch.mm": by_mkl}
    fused = operators(torch.float32)
    if fused is not None:
        packed = [fused.pack(weight, ROWS) for weight in weights]

        def by_onednn() -> None:
            with torch.inference_mode():
                for x, weight in zip(inputs, packed, strict=True):
                    fused.product(x, weight)

        found["oneDNN"] = by_onednn
    return found
