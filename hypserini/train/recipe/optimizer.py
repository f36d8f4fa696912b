"""An optimizer in which parts of the model learn at rates of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from hypserini.errors import TrainingError


def factored_optimizer(
    model: torch.nn.Module, factors: Mapping[str, float], arguments: Any, source: str
) -> torch.optim.AdamW | None:
    """AdamW with a group for each factor; None, for the Trainer's own, without factors.

    Args:
        model: what is trained.
        factors: regular expressions of parameter names, each with a factor on the learning rate;
            the first that is found in a name counts.
        arguments: transformers' TrainingArguments.
        source: the configuration's name, for messages.

    Raises:
        TrainingError: an expression is none, or is found in no name.
    """
    if not factors:
        return None
    kind = str(getattr(arguments.optim, "value", arguments.optim))
    if not kind.startswith("adamw_torch"):
        raise TrainingError(
            f"{source}: learning_rate_factors are of AdamW, and optim is {kind}: leave one of them"
            " out."
        )
    groups: dict[float, list[torch.nn.Parameter]] = {}
    used: set[str] = set()
    for name, parameter in model.named_parameters():
        try:
            pattern = next((p for p in factors if re.search(p, name)), None)
        except re.error as error:
            raise TrainingError(
                f"{source}: learning_rate_factors holds no regular expression: {error}."
            ) from error
        if pattern is not None:
            used.add(pattern)
        if parameter.requires_grad:
            groups.setdefault(factors[pattern] if pattern else 1.0, []).append(parameter)
    if unused := [p for p in factors if p not in used]:
        raise TrainingError(
            f"{source}: learning_rate_factors names {unused[0]!r}, which no parameter has."
        )
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": factor * arguments.learning_rate}
            for factor, parameters in groups.items()
        ],
        lr=arguments.learning_rate,
        betas=(arguments.adam_beta1, arguments.adam_beta2),
        eps=arguments.adam_epsilon,
        weight_decay=arguments.weight_decay,
    )
