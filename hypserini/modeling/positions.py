"""How many tokens a transformer can read: by its table of positions, whatever its kind."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import torch
from torch import nn

UNLIMITED = sys.maxsize
"""The limit of a model without one: its positions are relative, or computed."""

_TABLE = re.compile(
    r"(pos|position|positions|(word|char)_position)_?(embed|embedding|embeddings|encoding)"
    r"|embed_positions|wpe"
)


def positions_of(transformer: nn.Module) -> int:
    """How many tokens a transformer can read, special ones included; `UNLIMITED` if any number.

    A table's first rows may not count: those up to the padding token's (RoBERTa, MPNet, ...), or
    as many as the module calls its offset (OPT, BART). Others have a table that is not learned
    (GPT-J), or say by a buffer of position ids beside it how many there are (YOSO).
    """
    return min(
        (limit for module in transformer.modules() for limit in _limits(module)), default=UNLIMITED
    )


def _limits(module: nn.Module) -> Iterator[int]:
    """What the tables that belong to a module itself allow."""
    for name, buffer in module.named_buffers(recurse=False):
        if _TABLE.fullmatch(name) and buffer.ndim == 2:
            yield len(buffer)
    for name, table in module.named_children():
        weight = getattr(table, "weight", None)
        if _TABLE.fullmatch(name) and isinstance(weight, torch.Tensor) and weight.ndim == 2:
            padding = getattr(table, "padding_idx", None)
            yield len(weight) - (getattr(table, "offset", 0) if padding is None else padding + 1)
            ids = getattr(module, "position_ids", None)
            if isinstance(ids, torch.Tensor):
                yield ids.shape[-1]
