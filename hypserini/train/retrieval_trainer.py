"""transformers' Trainer for dual encoders: validation by retrieval, whole checkpoints, cards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.utils import logging as hf_logging

from hypserini.formats.output import atomic_output
from hypserini.train.checkpoints import whole_files, writing
from hypserini.train.report.plot import NAME as PICTURE
from hypserini.train.report.plot import plot_history
from hypserini.train.report.progress import Bar, Lines
from hypserini.train.stopping import DivergenceGuard, check_finite
from hypserini.train.validation import RetrievalValidation

logger = logging.getLogger(__name__)


class RetrievalTrainer(Trainer):
    """Trains a `DualEncoder`.

    Args:
        retrieval: validates by retrieval, or None.
        loss_data: examples to validate the loss on, or None.
        card: makes the model card of a folder, given (trainer, folder).
        kwargs: the Trainer's.
    """

    control: Any

    def __init__(
        self,
        *,
        retrieval: RetrievalValidation | None,
        loss_data: Any,
        card: Callable[[RetrievalTrainer, Path], str],
        **kwargs: Any,
    ) -> None:
        self.retrieval = retrieval
        self.loss_data = loss_data
        self.card = card
        self.guard = DivergenceGuard()
        # The Trainer wants to see data when it is to validate; what becomes of them is up to us.
        super().__init__(eval_dataset=retrieval if loss_data is None else loss_data, **kwargs)
        for theirs, ours in ((PrinterCallback, Lines), (ProgressCallback, Bar)):
            if self.pop_callback(theirs) is not None:
                self.add_callback(ours)
        self.add_callback(Redraw)

    # Training.

    def get_train_dataloader(self) -> Any:
        """Make the loader of the training data, with random numbers of its own.

        Whether a loader draws from the common ones at the start of an epoch depends on whether its
        workers live on: a resumed run would then go on with other dropout.
        """
        loader: Any = super().get_train_dataloader()
        generator = torch.Generator().manual_seed(self.args.seed)
        for each in (loader, getattr(loader, "base_dataloader", loader)):  # accelerate's, and its
            each.generator = generator
        return loader

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Do as the Trainer does, and watch the loss."""
        loss = super().training_step(*args, **kwargs)
        whole = loss * getattr(self, "current_gradient_accumulation_steps", 1)
        self.guard.watch(self.state.global_step + 1, whole)
        return loss

    # Validation.

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: Any = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Validate the loss and the retrieval, as far as there are data for them, and log both.

        It draws no random numbers, so that training goes on as it would have without.
        """
        self.guard.check()
        # Fused optimizers change weights without a word; copies that products were made with are
        # told from the present weights by their version.
        for parameter in self.model.parameters():
            torch.autograd.graph.increment_version(parameter)
        metrics: dict[str, float] = {}
        started = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            if self.loss_data is not None:
                metrics |= self.evaluation_loop(
                    self.get_eval_dataloader(eval_dataset or self.loss_data),
                    description="Validation",
                    prediction_loss_only=True,
                    metric_key_prefix=metric_key_prefix,
                ).metrics
                metrics.pop(f"{metric_key_prefix}_model_preparation_time", None)
            if self.retrieval is not None:
                figures = self.retrieval(
                    self.model,
                    share=self.args.process_index,
                    shares=self.args.world_size,
                    autocast=self.accelerator.autocast(),
                    progress=not self.args.disable_tqdm and self.is_world_process_zero(),
                )
                metrics |= {f"{metric_key_prefix}_{name}": v for name, v in figures.items()}
        metrics[f"{metric_key_prefix}_runtime"] = time.perf_counter() - started
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, None, None]:
        """Compute the loss of one batch; the Trainer would only where there are labels."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, inputs).detach().mean(), None, None

    # Saving.

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write model, tokenizer and card, each file whole or not at all."""
        if not self.args.should_save:
            super()._save(output_dir, state_dict)
            return
        self.guard.check()
        check_finite(self.model, self.state.global_step)
        folder = Path(output_dir or self.args.output_dir)
        with whole_files(folder) as partial, _without_bars():
            super()._save(str(partial), state_dict)
            (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle, which none reads
            (partial / "README.md").write_text(self.card(self, folder), encoding="utf-8")

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Do as the Trainer does; a full disk is told in a sentence."""
        with writing(Path(self.args.output_dir)):
            super()._save_checkpoint(*args, **kwargs)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Leave alone what a checkpoint lacks because another tensor of it is the same."""
        copies = self.model.get_expanded_tied_weights_keys()
        missing = [name for name in load_result.missing_keys if name not in copies]
        super()._issue_warnings_after_load(type(load_result)(missing, load_result.unexpected_keys))

    def _save_rng_state(self, output_dir: str) -> None:
        """Wait for the states of all processes, before the Trainer's own state seals them."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write our card in place of the Trainer's."""
        if self.is_world_process_zero():
            folder = Path(self.args.output_dir)
            with atomic_output(folder / "README.md") as file:
                file.write(self.card(self, folder))

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push what a checkpoint holds, with tokenizer and card."""
        if self.is_world_process_zero():
            self.model.tokenizer.save_pretrained(self.args.output_dir)
            self.create_model_card()
        super()._push_from_checkpoint(checkpoint_folder)

    def finish(self) -> None:
        """Validate the last step if that was not done, draw the run, and save the model."""
        history = self.state.log_history
        validated = any(
            "eval_runtime" in entry and entry["step"] == self.state.global_step for entry in history
        )
        if self.eval_dataset is not None and not (validated or self.args.load_best_model_at_end):
            self.evaluate()
        folder = Path(self.args.output_dir)
        picture = folder / PICTURE
        if self.is_world_process_zero() and plot_history(self.state.log_history, picture):
            logger.info("Loss and validation by step: %s", picture)
        with writing(folder):
            self.save_model()
            self.save_state()


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers' own progress bars away, of which writing a small file would show one."""
    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


class Redraw(TrainerCallback):
    """Has the examples drawn anew in each epoch.

    accelerate's loader alone would not: after a resume within an epoch, and with several
    processes, it passes the epoch to the sampler and not to the data.
    """

    def on_epoch_begin(
        self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **kwargs: Any
    ) -> None:
        """Tell the data the epoch."""
        train_dataloader.dataset.set_epoch(int(state.epoch or 0))
