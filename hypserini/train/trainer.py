"""Training on transformers' Trainer."""

from __future__ import annotations

import logging
import math
import os
import re
from pathlib import Path
from typing import Any

from hypserini.errors import TrainingError
from hypserini.modeling.losses import needs_labels
from hypserini.train.building import build_model
from hypserini.train.collator import Collator
from hypserini.train.config import TrainingConfig, training_arguments
from hypserini.train.data import training_data, validation_data

logger = logging.getLogger(__name__)


def train(config: TrainingConfig, *, progress: bool = True) -> Path:
    """Train the model that the configuration describes and save it into its `output_dir`.

    Returns:
        The folder, which `hypserini.load_model` reads.

    Raises:
        TrainingError: the configuration or the data cannot be used, or the loss is no longer a
            number; says at which step.
        ModelError: a model that the configuration names cannot be loaded.
    """
    arguments = training_arguments(config.trainer_config, config.source)
    arguments.disable_tqdm = arguments.disable_tqdm or not progress
    trainer = make_trainer(config, arguments)
    resume = config.trainer_config.resume_from_checkpoint
    if resume is True and not any(Path(arguments.output_dir).glob("checkpoint-*")):
        resume = False
    trainer.train(resume_from_checkpoint=resume or None)
    trainer.save_model()
    return Path(arguments.output_dir)


def make_trainer(config: TrainingConfig, arguments: Any) -> Any:
    """Make the Trainer with its model, data and collator; seeded before the model is made."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise TrainingError("training needs accelerate: pip install 'hypserini[train]'.") from error
    from transformers import Trainer, set_seed

    data = config.data_config
    labels = needs_labels(config.model_config.loss_type)
    drawing: dict[str, Any] = {
        "labels": labels,
        "seed": arguments.data_seed if arguments.data_seed is not None else arguments.seed,
        "source": config.source,
    }
    train_dataset = training_data(data, **drawing)
    eval_dataset = validation_data(data, **drawing)
    set_seed(arguments.seed)
    model = build_model(config)
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        data_collator=Collator(
            model.tokenizer,
            query_max_length=model.query_max_length,
            document_max_length=model.document_max_length,
            labels=labels,
        ),
        callbacks=[_divergence_guard(), _redraw()],
        optimizers=(_optimizer(model, config, arguments), None),
    )


def _optimizer(model: Any, config: TrainingConfig, arguments: Any) -> Any:
    """AdamW with a learning rate for each factor; None, the Trainer's own, without factors."""
    factors = config.trainer_config.learning_rate_factors
    if not factors:
        return None
    import torch

    groups: dict[float, list[Any]] = {}
    used: set[str] = set()
    for name, parameter in model.named_parameters():
        pattern = next((p for p in factors if re.search(p, name)), None)
        used.update([pattern] if pattern is not None else [])
        factor = 1.0 if pattern is None else factors[pattern]
        groups.setdefault(factor, []).append(parameter)
    if unused := [p for p in factors if p not in used]:
        raise TrainingError(
            f"{config.source}: learning_rate_factors names {unused[0]!r}, which no parameter has."
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


def _redraw() -> Any:
    """A callback that has the examples drawn anew in each epoch.

    accelerate's loader alone would not: after a resume within an epoch, and with several
    processes, it passes the epoch to the sampler and not to the data.
    """
    from transformers import TrainerCallback

    class Redraw(TrainerCallback):
        def on_epoch_begin(
            self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **kwargs: Any
        ) -> None:
            train_dataloader.dataset.set_epoch(int(state.epoch or 0))

    return Redraw()


def _divergence_guard() -> Any:
    """A callback that stops when the logged loss is no longer a number."""
    from transformers import TrainerCallback

    class DivergenceGuard(TrainerCallback):
        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
        ) -> None:
            loss = (logs or {}).get("loss")
            if loss is not None and not math.isfinite(float(loss)):
                raise TrainingError(
                    f"the loss is {loss} at step {state.global_step}: training has diverged, "
                    "lower learning_rate."
                )

    return DivergenceGuard()
