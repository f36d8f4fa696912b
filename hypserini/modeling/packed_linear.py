"""Linear layers that multiply through oneDNN when a model only encodes."""

from __future__ import annotations

from torch import Tensor, nn

from hypserini.modeling.onednn import PackedWeight, operators


class PackedLinear(nn.Linear):
    """`nn.Linear` whose products on a CPU go through oneDNN where nothing is differentiated."""

    packed: PackedWeight

    def forward(self, input: Tensor) -> Tensor:
        """`x W^T + b`."""
        product = self.packed.product(input, self.weight, self.bias)
        return super().forward(input) if product is None else product


def pack_linears(module: nn.Module) -> None:
    """Let all linear layers of a module on a CPU multiply through oneDNN; done again, no harm.

    Weights, names and gradients stay as they are. Each layer keeps a second copy of its weights.
    """
    weight = next(module.parameters(), None)
    if weight is None or weight.device.type != "cpu" or operators(weight.dtype) is None:
        return
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.packed = PackedWeight()  # type: ignore[assignment]
            layer.__class__ = PackedLinear
