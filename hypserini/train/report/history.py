"""The Trainer's log as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

History = Sequence[Mapping[str, Any]]
"""What the Trainer logs: reports, each with a `step` and figures by name."""

Curves = dict[str, list[tuple[int, float]]]
"""Name -> (step, value) in the order of the steps."""

_LOSSES = ("loss", "eval_loss")
_COSTS = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")


def losses(history: History) -> Curves:
    """The losses of training and of validation data."""
    return _curves(history, lambda name: name in _LOSSES)


def measures(history: History) -> Curves:
    """What was measured by retrieval, as `nDCG@10`."""
    costs = tuple(f"eval_{cost}" for cost in _COSTS)
    found = _curves(history, lambda name: name.startswith("eval_") and name not in costs)
    return {name.removeprefix("eval_"): c for name, c in found.items() if name not in _LOSSES}


def _curves(history: History, wanted: Any) -> Curves:
    curves: Curves = {}
    for entry in history:
        for name, value in entry.items():
            if wanted(name):
                curves.setdefault(name, []).append((int(entry["step"]), float(value)))
    return curves
