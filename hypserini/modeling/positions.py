"""How many tokens a transformer can read: by its table of positions, whatever its kind."""

from __future__ import annotations

import re
import sys

import torch
from torch import nn

UNLIMITED = sys.maxsize
"""The limit of a model without one: its positions are relative, or computed."""

_TABLE = re.compile(
    r"(.*\.)?(pos|position|positions|word_position)_?(embed|embedding|embeddings|encoding)"
    r"|(.*\.)?(embed_positions|wpe)"
)


def positions_of(transformer: nn.Module) -> int:
    """How many tokens a transformer can read, special ones included; `UNLIMITED` if any number.

    A table's first rows may not count: those up to the padding token's (RoBERTa, MPNet, ...), or
    as many as the module calls its offset (OPT, BART). Others have a table that is not learned
    (GPT-J), or say by a buffer of position ids how many there are.
    """
    limits = [UNLIMITED]
    limits += [
        len(buffer)
        for name, buffer in transformer.named_buffers()
        if _TABLE.fullmatch(name) and buffer.ndim == 2
    ]
    for name, module in transformer.named_modules():
        weight = getattr(module, "weight", None)
        if _TABLE.fullmatch(name) and isinstance(weight, torch.Tensor) and weight.ndim == 2:
            padding = getattr(module, "padding_idx", None)
            skipped = getattr(module, "offset", 0) if padding is None else padding + 1
            limits.append(len(weight) - skipped)
        ids = getattr(module, "position_ids", None)
        if isinstance(ids, torch.Tensor) and ids.numel():
            limits.append(ids.shape[-1])
    return min(limits)
