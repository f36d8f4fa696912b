"""When a run ends before its time: it diverges, or no longer gets better."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from torch import Tensor
from transformers import EarlyStoppingCallback

from hypserini.errors import TrainingError

logger = logging.getLogger(__name__)


class DivergenceGuard:
    """Stops a run at the first step whose loss is no number.

    On a GPU, a loss is looked at when the next step has been started, so that nothing waits for it.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, Tensor, Any] | None = None

    def watch(self, step: int, loss: Tensor) -> None:
        """Look at the loss of one step, and at the one before if that was put off.

        Raises:
            TrainingError: it is NaN or infinite; names the step and the loss.
        """
        self.check()
        event = None
        loss = loss.detach()
        if loss.is_cuda:
            loss = loss.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._pending = (step, loss, event)
        if event is None:
            self.check()

    def check(self) -> None:
        """Look at what was put off; to be called before anything is built on the weights."""
        if self._pending is None:
            return
        step, loss, event = self._pending
        self._pending = None
        if event is not None:
            event.synchronize()
        if not math.isfinite(float(loss)):
            raise TrainingError(
                f"the loss is {float(loss)} at step {step}: training has diverged, "
                "lower learning_rate, or raise warmup_steps."
            )


def check_finite(model: torch.nn.Module, step: int) -> None:
    """Raise a TrainingError naming the first of the model's weights that is NaN or infinite."""
    for name, weight in model.named_parameters():
        # A sum is finite only if all its terms are.
        if not bool(weight.detach().sum(dtype=torch.float32).isfinite()):
            raise TrainingError(
                f"the weights {name} hold NaN or infinity after step {step}: training has "
                "diverged, lower learning_rate, or raise warmup_steps."
            )


class PatientStopping(EarlyStoppingCallback):
    """Stops when the model has not got better for some validations; so too after a resume.

    The constructor's arguments are those of the base class, which saves and restores itself by
    them.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop at once where a run is resumed that had stopped."""
        super().on_train_begin(args, state, control, **kwargs)
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Count validations that are no better, and say so when they have become too many."""
        super().on_evaluate(args, state, control, metrics, **kwargs)
        if control.should_training_stop and state.is_world_process_zero:
            logger.info(
                "No better for %d validations: training stops.",
                self.early_stopping_patience_counter,
            )
