"""What a run says of itself: a progress bar, and its losses as lines of the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from transformers import ProgressCallback, TrainerCallback

logger = logging.getLogger(__name__)

_LEFT_OUT = ("epoch", "total_flos", "step")


class Lines(TrainerCallback):
    """Logs every report of the Trainer as one line, in place of a dict on the standard output."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Log one line."""
        if state.is_world_process_zero:
            logger.info(report(state.global_step, logs or {}))


class Bar(ProgressCallback):
    """The Trainer's progress bar, with the reports as lines above it."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write one line above the bar."""
        if state.is_world_process_zero and self.training_bar is not None:
            self.training_bar.write(report(state.global_step, logs or {}), file=sys.stderr)


def report(step: int, logs: Mapping[str, Any]) -> str:
    """Say in one line what the Trainer reports at a step."""
    figures = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in logs.items()
        if name not in _LEFT_OUT
    ]
    return f"step {step}: {', '.join(figures)}"
