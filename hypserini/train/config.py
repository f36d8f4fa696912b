"""The training configuration: YAML with the paper's three sections."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hypserini.errors import TrainingError
from hypserini.train.data_section import DataSection

logger = logging.getLogger(__name__)

# Names that transformers has given up since the paper's configs were written.
_RENAMED = {"evaluation_strategy": "eval_strategy"}
_DROPPED = {
    "overwrite_output_dir": "an output folder is never emptied",
    "save_safetensors": "safetensors are always written",
}


@dataclass(slots=True)
class ModelSection:
    """Which model is trained.

    Attributes:
        model_type: `hypencoder` or `biencoder`.
        checkpoint_path: start from this model; the other keys but the losses are then its own.
        base_config: the transformer's configuration, to train it from nothing.
        initial_weights: a folder or hub name whose model gives the transformer's first weights,
            as far as it has them; by default the `model_name_or_path` of the query encoder,
            unless `base_config` is given. Those of a BERT without layers go into a deeper one
            that begins as it.
        normalize: a bi-encoder's vectors get length 1, so that its scores are cosines.
        head_initialization: `paper`, or `bi-encoder` (see `initialization`).
        tokenizer_pretrained_model_name_or_path: by default where the transformer comes from.
    """

    model_type: str = "hypencoder"
    checkpoint_path: str | None = None
    base_config: dict[str, Any] | None = None
    initial_weights: str | None = None
    normalize: bool = False
    head_initialization: str = "paper"
    tokenizer_pretrained_model_name_or_path: str | None = None
    query_encoder_kwargs: dict[str, Any] = field(default_factory=dict)
    passage_encoder_kwargs: dict[str, Any] = field(default_factory=dict)
    shared_encoder: bool = True
    loss_type: Any = "cross_entropy"
    loss_kwargs: Any = None


@dataclass(slots=True)
class TrainerSection:
    """How it is trained.

    Attributes:
        hf_trainer_config: goes to transformers' TrainingArguments as it is.
        resume_from_checkpoint: go on where the output folder's last checkpoint ended.
        learning_rate_factors: regular expressions of parameter names, each with a factor on
            `learning_rate`; the first that is found in a name counts.
    """

    hf_trainer_config: dict[str, Any] = field(default_factory=dict)
    resume_from_checkpoint: bool | str = False
    learning_rate_factors: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class TrainingConfig:
    """The whole configuration."""

    model_config: ModelSection
    data_config: DataSection
    trainer_config: TrainerSection
    source: str = "the configuration"


_SECTIONS = {
    "model_config": ModelSection,
    "data_config": DataSection,
    "trainer_config": TrainerSection,
}


def read_config(path: str | Path) -> TrainingConfig:
    """Read a YAML configuration.

    Raises:
        TrainingError: the file is missing, is no YAML, or holds a key that does not exist.
    """
    try:
        import yaml
    except ImportError as error:
        raise TrainingError("training needs PyYAML: pip install 'hypserini[train]'.") from error
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}).") from error
    except yaml.YAMLError as error:
        raise TrainingError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
    return parse_config(value, str(path))


def parse_config(value: Any, source: str = "the configuration") -> TrainingConfig:
    """Check a configuration that was read, and name `source` in what is wrong with it.

    Raises:
        TrainingError: a section or key does not exist, or the training data are not named.
    """
    if not isinstance(value, dict):
        raise TrainingError(f"{source} is no mapping of {', '.join(_SECTIONS)}.")
    _check_keys(value, list(_SECTIONS), source)
    sections: dict[str, Any] = {}
    for name, section in _SECTIONS.items():
        given = value.get(name) or {}
        if not isinstance(given, dict):
            raise TrainingError(f"{source}: {name} is no mapping.")
        _check_keys(given, [f.name for f in fields(section)], f"{source}, {name}")
        sections[name] = section(**given)
    config = TrainingConfig(**sections, source=source)
    config.data_config.check(source)
    if config.data_config.num_positives_to_sample != 1:
        raise TrainingError(f"{source}: num_positives_to_sample can only be 1.")
    return config


def training_arguments(section: TrainerSection, source: str) -> Any:
    """Make transformers' TrainingArguments, translating names that it no longer has.

    Raises:
        TrainingError: a key does not exist, or transformers refuses a value.
    """
    from transformers import TrainingArguments

    known = [f.name for f in fields(TrainingArguments)]
    values: dict[str, Any] = {"remove_unused_columns": False, "report_to": "none"}
    for key, value in section.hf_trainer_config.items():
        if key in _DROPPED:
            logger.info("%s is no longer used: %s.", key, _DROPPED[key])
        elif key == "warmup_ratio" and key not in known:
            # transformers now takes a share of the steps as warmup_steps below 1.
            if value and not section.hf_trainer_config.get("warmup_steps"):
                values["warmup_steps"] = value
        elif key == "tf32" and value and not _has_gpu():
            logger.info("tf32 is left out: there is no GPU.")
        else:
            if key in _RENAMED:
                logger.info("%s is now called %s.", key, _RENAMED[key])
            values[_RENAMED.get(key, key)] = value
    if values.get("max_steps") is None:
        values.pop("max_steps", None)
    if not values.get("dataloader_num_workers"):
        values.pop("dataloader_prefetch_factor", None)
    for key in ("fsdp", "fsdp_config"):
        if not values.get(key):
            values.pop(key, None)
    _check_keys(values, known, f"{source}, hf_trainer_config")
    # A loss that is no number must be seen, not smoothed away.
    values["logging_nan_inf_filter"] = False
    try:
        return TrainingArguments(**values)
    except (ValueError, TypeError, ImportError) as error:
        message = " ".join(str(error).split())
        raise TrainingError(f"{source}, hf_trainer_config: {message}") from error


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _check_keys(given: dict[str, Any], known: list[str], where: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}."
            raise TrainingError(f"{where}: there is no key {key!r}{hint}")
