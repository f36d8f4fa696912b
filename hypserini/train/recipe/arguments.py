"""From `trainer_config` to transformers' TrainingArguments, older names translated."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

from hypserini.errors import MeasureError, TrainingError, shorten, shown
from hypserini.evaluate.measures import parse_measure
from hypserini.train.recipe.config import TrainerSection, check_keys
from hypserini.train.recipe.numbers import ARGUMENTS, COUNT, FACTOR, VALIDATION, checked_numbers

logger = logging.getLogger(__name__)

# Names that transformers has given up since the paper's configs were written.
_RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "no_cuda": "use_cpu",
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}
_DROPPED = {"save_safetensors": "safetensors are always written"}
# What `checkpoints.starting_point` reads; transformers has given it up.
_OURS = ("overwrite_output_dir",)
# transformers' own, which its Trainer does not read.
_RESUMED = "resume_from_checkpoint"


def training_arguments(section: TrainerSection, source: str, *, has_losses: bool = False) -> Any:
    """Make transformers' TrainingArguments, translating names that it no longer has.

    Where nothing is said about it, a model is validated whenever it is saved, and one that stops
    early ends as the best that was saved.

    Args:
        section: the configuration.
        source: its name, for messages.
        has_losses: there are examples to validate the loss on, whatever `section.validation` is.

    Raises:
        TrainingError: a key does not exist, or transformers refuses a value.
    """
    from transformers import TrainingArguments

    known = [f.name for f in fields(TrainingArguments)]
    values = _translated(section.hf_trainer_config, known)
    check_keys(values, known, f"{source}, hf_trainer_config")
    if values.pop(_RESUMED, None):
        raise TrainingError(
            f"{source}, hf_trainer_config: {_RESUMED} is a key of trainer_config itself: move it"
            " there."
        )
    values |= checked_numbers(values, ARGUMENTS, f"{source}, hf_trainer_config")
    _check_section(section, f"{source}, trainer_config")
    _plan_validation(values, section, has_losses, source)
    # The order of the examples is then the same after a resume.
    values.setdefault("data_seed", values.get("seed", 42))
    # All weights have gradients: those of poolers, which take no part, are left out.
    values.setdefault("ddp_find_unused_parameters", False)
    # A loss that is no number must be seen, not smoothed away.
    values["logging_nan_inf_filter"] = False
    try:
        arguments = TrainingArguments(**values)
    except Exception as error:  # whatever transformers comes across when a value is of no use
        message = shorten(" ".join(str(error).split()), 300)
        raise TrainingError(f"{source}, hf_trainer_config: {message}") from error
    if arguments.n_gpu > 1:
        logger.info("One of %d GPUs is used: start with torchrun to use all.", arguments.n_gpu)
        arguments._n_gpu = 1
    return arguments


def _check_section(section: TrainerSection, where: str) -> None:
    stopping = {"early_stopping_patience": section.early_stopping_patience}
    checked_numbers(stopping, {"early_stopping_patience": COUNT}, where)
    factors = section.learning_rate_factors
    checked_numbers(factors, dict.fromkeys(factors, FACTOR), f"{where}, learning_rate_factors")
    if section.validation is not None:
        checked_numbers(asdict(section.validation), VALIDATION, f"{where}, validation")


def _translated(given: dict[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Give older names their present form and leave out what has no meaning here."""
    values: dict[str, Any] = {"remove_unused_columns": False, "report_to": "none"}
    for key, value in given.items():
        if key in _DROPPED:
            logger.info("%s is no longer used: %s.", key, _DROPPED[key])
        elif key == "warmup_ratio" and key not in known:
            # transformers now takes a share of the steps as warmup_steps below 1.
            if value and not given.get("warmup_steps"):
                logger.info("warmup_ratio is now a warmup_steps below 1.")
                values["warmup_steps"] = value
        elif key == "tf32" and value and not _has_gpu():
            logger.info("tf32 is left out: there is no GPU.")
        elif _RENAMED.get(key) in known:
            logger.info("%s is now called %s.", key, _RENAMED[key])
            values[_RENAMED[key]] = value
        elif key not in _OURS:
            values[key] = value
    for key in ("eval_strategy", "save_strategy", "logging_strategy"):
        if values.get(key) is False:  # what YAML makes of an unquoted no
            values[key] = "no"
    if not _has_accelerator() and not values.get("use_cpu"):
        logger.info("No GPU was found: training on the CPU.")
        values["use_cpu"] = True
    if values.get("fp16") and values.get("use_cpu"):
        logger.info("fp16 needs a GPU: training in fp32; bf16 works on a CPU.")
        values["fp16"] = False
    if values.get("max_steps") is None:
        values.pop("max_steps", None)
    if not values.get("dataloader_num_workers"):
        values.pop("dataloader_prefetch_factor", None)
    for key in ("fsdp", "fsdp_config"):
        if not values.get(key):
            values.pop(key, None)
    return values


def _plan_validation(
    values: dict[str, Any], section: TrainerSection, has_losses: bool, source: str
) -> None:
    """Say when to validate and which model to keep, where the user did not."""
    validation, patience = section.validation, section.early_stopping_patience
    saved = str(values.get("save_strategy", "steps"))
    asked = str(values.get("eval_strategy", "no")) != "no"
    if validation is None and not has_losses:
        if asked or patience is not None:
            raise TrainingError(
                f"{source}: there is nothing to validate on: name a retrieval as "
                "trainer_config.validation, or validation_data_jsonl in data_config."
            )
        return
    if "eval_strategy" not in values and saved in ("steps", "epoch"):
        values["eval_strategy"] = saved
        # Else the Trainer would take logging_steps.
        values.setdefault("eval_steps", values.get("save_steps", 500))
        asked = True
    if patience is not None:
        if not asked:
            raise TrainingError(
                f"{source}: early_stopping_patience needs an eval_strategy of steps or epoch."
            )
        values.setdefault("load_best_model_at_end", True)
        values.setdefault("restore_callback_states_from_checkpoint", True)
    if values.get("load_best_model_at_end") or saved == "best":
        _name_best(values, section, has_losses, source)


def _name_best(
    values: dict[str, Any], section: TrainerSection, has_losses: bool, source: str
) -> None:
    """Name the figure that the best model has as it is logged, whatever the user calls it."""
    given = section.validation.measures if section.validation is not None else []
    measures = [str(parse_measure(measure)) for measure in given]
    named = values.get("metric_for_best_model")
    if named is None:
        if measures:
            values["metric_for_best_model"] = measures[0]
        return
    name = str(named).removeprefix("eval_")
    if name == "loss" and has_losses:
        return
    with suppress(MeasureError):
        name = str(parse_measure(name))
    if name not in measures:
        logged = [*measures, *(["loss"] if has_losses else [])]
        raise TrainingError(
            f"{source}, hf_trainer_config: metric_for_best_model is {shown(named)}: use one of"
            f" {', '.join(logged)}."
        )
    values["metric_for_best_model"] = name


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _has_accelerator() -> bool:
    import torch

    return torch.accelerator.is_available()
