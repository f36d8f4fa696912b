"""Numbers of a configuration, checked before what they are for fails in its own words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hypserini.errors import TrainingError, shown

MOST = 2**31 - 1
SEEDS = 2**32 - 1

Range = tuple[type, float, float]
"""`int` or `float`, the least and the most."""

COUNT: Range = (int, 1, MOST)
_ANY_COUNT: Range = (int, 0, MOST)
_SEED: Range = (int, 0, SEEDS)
_STEPS: Range = (float, 0, MOST)
"""Steps, or below 1 a share of all."""
FACTOR: Range = (float, 0, math.inf)

ARGUMENTS: dict[str, Range] = {
    "learning_rate": FACTOR,
    "weight_decay": FACTOR,
    "max_grad_norm": FACTOR,
    "num_train_epochs": (float, 0, MOST),
    "max_steps": (int, -1, MOST),  # -1: as many as the epochs have
    "warmup_steps": _STEPS,
    "logging_steps": _STEPS,
    "save_steps": _STEPS,
    "eval_steps": _STEPS,
    "save_total_limit": COUNT,
    "seed": _SEED,
    "data_seed": _SEED,
    "per_device_train_batch_size": COUNT,
    "per_device_eval_batch_size": COUNT,
    "gradient_accumulation_steps": COUNT,
    "dataloader_num_workers": _ANY_COUNT,
}
"""Of transformers' TrainingArguments."""

VALIDATION = dict.fromkeys(("max_queries", "max_documents", "batch_size"), COUNT)

BASE = dict.fromkeys(
    (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("intermediate_size", "max_position_embeddings"),
    ),
    COUNT,
) | {"num_hidden_layers": _ANY_COUNT}
"""Of a BERT-like transformer's configuration."""


def checked_numbers(
    values: Mapping[str, Any], ranges: Mapping[str, Range], where: str
) -> dict[str, int | float]:
    """The numbers among some values; what is missing or None is left out.

    YAML reads 2e-5 as a text: here it becomes the number that is meant.

    Raises:
        TrainingError: One is no number, or too little or too much; names it.
    """
    numbers: dict[str, int | float] = {}
    for name, (kind, least, most) in ranges.items():
        given = values.get(name)
        if given is None:
            continue
        value = _number(given, kind)
        if value is None or not (least <= value <= most and value < math.inf):
            wanted = "a whole number" if kind is int else "a number"
            bounds = f"of at least {least:,}" if most == math.inf else f"{least:,} to {most:,}"
            raise TrainingError(f"{where}: {name} is {shown(given)}: give {wanted} {bounds}.")
        numbers[name] = value
    return numbers


def _number(given: Any, kind: type) -> int | float | None:
    if isinstance(given, bool):
        return None
    if isinstance(given, int):
        return given
    try:
        value = float(given)
    except (TypeError, ValueError):
        return None
    if kind is float or not value.is_integer():
        return value if kind is float else None
    return int(value)
