"""oneDNN's matrix products: faster than `torch.mm` on many processors, the more so for few rows.

Torch's own products on a CPU go through MKL, which takes two to three times as long as oneDNN on
processors of AMD with AVX-512, and which reads weights in their plain layout; oneDNN can also be
given weights in its own layout, and then adds a bias and applies relu in the same pass. Where there
is no AVX-512, MKL multiplies by plain weights in four fifths of oneDNN's time.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 512
"""Rows that weights are laid out for; the layout is good for fewer and for more."""

logger = logging.getLogger(__name__)


class Operators(NamedTuple):
    """act(x W^T + b) in one pass, and W `[out, in]` brought into oneDNN's layout."""

    linear: Any
    pack: Any

    def product(
        self, x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: str = "none"
    ) -> Tensor:
        """`act(x W^T + b)` of `x` `[..., in]`; `weight` `[out, in]` in any layout."""
        if bias is not None and weight.layout is torch.strided and _mkl_is_faster(x.dtype):
            y = F.linear(x, weight, bias)
            return y.relu_() if activation == "relu" else y
        return self.linear(x, weight, bias, activation, [], "")


@cache
def _mkl_is_faster(dtype: torch.dtype) -> bool:
    """Whether MKL multiplies by plain weights faster than oneDNN does, on this processor."""
    return (
        dtype is torch.float32
        and torch.backends.mkl.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
    )


@cache
def operators(dtype: torch.dtype) -> Operators | None:
    """The operators, or None where torch does not have them for `dtype` on this processor.

    torch.compile builds on the same ones; torch has no public names for them.
    """
    try:
        found = Operators(
            torch.ops.mkldnn._linear_pointwise, torch.ops.mkldnn._reorder_linear_weight
        )
        if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return None
        probe = torch.eye(16, dtype=dtype)
        packed = found.pack(probe, 16)
        if torch.equal(found.product(probe, packed, probe[0]), probe + probe[0]):
            return found
    except (AttributeError, RuntimeError):
        logger.debug("No fused products for %s.", dtype, exc_info=True)
    return None


class PackedWeight:
    """Products with one weight `[out, in]`, of which a copy in oneDNN's layout is kept.

    The copy is made at the first product, and anew when the weight has changed since.
    """

    def __init__(self) -> None:
        self._packed: Tensor | None = None
        self._of: tuple[int, int] | None = None

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
        """`x W^T + b` of `x` `[..., in]`; None where that is not for oneDNN.

        It is where nothing is to be differentiated, on a CPU, in one number format.
        """
        if torch.is_grad_enabled() or x.device.type != "cpu" or x.dtype != weight.dtype:
            return None
        fused = operators(x.dtype)
        if fused is None or torch.is_autocast_enabled("cpu"):
            return None
        state = (weight.data_ptr(), weight._version)
        if self._packed is None or self._of != state:
            self._packed, self._of = fused.pack(weight.detach(), ROWS), state
        return fused.product(x, self._packed, bias)

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedWeight:
        return PackedWeight()

    def __reduce__(self) -> tuple[type[PackedWeight], tuple[()]]:
        return PackedWeight, ()
