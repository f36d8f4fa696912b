"""The training configuration: YAML with the paper's three sections."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from hypserini.errors import TrainingError, shorten, shown
from hypserini.formats.reading import read_text
from hypserini.formats.values import Malformed
from hypserini.train.data.passage_vectors import VectorsSection
from hypserini.train.data.section import DataSection
from hypserini.train.recipe.types import describe, fits
from hypserini.train.recipe.yaml_text import LARGEST, parse_yaml


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
        normalize: document vectors get length 1, and a bi-encoder's query vectors as well, so that
            its scores are cosines.
        passage_vectors: train over document vectors that are there already, in place of a
            document encoder: an `index`, or `files` of vectors, and perhaps their `model`.
        head_initialization: `paper`, `bi-encoder` or `dot-product` (see `initialization`); by
            default the last where the q-net has `add_query_vector`, and else the first.
        tokenizer_pretrained_model_name_or_path: by default where the transformer comes from.
    """

    model_type: str = "hypencoder"
    checkpoint_path: str | None = None
    base_config: dict[str, Any] | None = None
    initial_weights: str | None = None
    normalize: bool = False
    head_initialization: str | None = None
    passage_vectors: VectorsSection | None = None
    tokenizer_pretrained_model_name_or_path: str | None = None
    query_encoder_kwargs: dict[str, Any] = field(default_factory=dict)
    passage_encoder_kwargs: dict[str, Any] = field(default_factory=dict)
    shared_encoder: bool = True
    loss_type: str | list[str] = "cross_entropy"
    loss_kwargs: dict[str, Any] | list[dict[str, Any] | None] | None = None


@dataclass(slots=True)
class ValidationSection:
    """A retrieval to validate on; see `read_retrieval_set`.

    Attributes:
        beir: a BEIR folder, whose `split` of judgements is taken.
        queries: topics, in place of the folder's.
        documents: a collection, in place of the folder's.
        qrels: judgements, in place of the folder's.
        max_queries: so many at most, drawn by the seed.
        max_documents: so many at most, all judged ones among them.
        measures: in the field's notation; the first decides which checkpoint is best.
        batch_size: documents that are encoded at once.
    """

    beir: str | None = None
    split: str = "dev"
    queries: str | None = None
    documents: str | None = None
    qrels: str | None = None
    max_queries: int | None = None
    max_documents: int | None = None
    measures: list[str] = field(default_factory=lambda: ["nDCG@10", "RR@10"])
    batch_size: int = 64


@dataclass(slots=True)
class TrainerSection:
    """How it is trained.

    Attributes:
        hf_trainer_config: goes to transformers' TrainingArguments as it is.
        resume_from_checkpoint: go on where the output folder's last checkpoint ended, or a given
            one; from the beginning where there is none.
        learning_rate_factors: regular expressions of parameter names, each with a factor on
            `learning_rate`; the first that is found in a name counts. `weight_decay` is then that
            of all parameters, those of layer norms and biases as well.
        validation: a retrieval to validate on.
        early_stopping_patience: stop when so many validations in turn were no better than the
            best, and end as the best.
        early_stopping_threshold: by how much a better one must be better.
    """

    hf_trainer_config: dict[str, Any] = field(default_factory=dict)
    resume_from_checkpoint: bool | str = False
    learning_rate_factors: dict[str, float] = field(default_factory=dict)
    validation: ValidationSection | None = None
    early_stopping_patience: int | None = None
    early_stopping_threshold: float = 0.0


@dataclass(slots=True)
class TrainingConfig:
    """The whole configuration."""

    model_config: ModelSection
    data_config: DataSection
    trainer_config: TrainerSection
    source: str = "the configuration"
    given: dict[str, Any] = field(default_factory=dict)
    """What was read, for the model card."""


CONFIGS = Path(__file__).resolve().parents[1] / "configs"
"""The folder of the configurations that come along."""

_AT_LEAST_1 = ("max_queries", "max_documents", "batch_size", "early_stopping_patience")

_Section = TypeVar("_Section")

_SECTIONS: dict[str, type] = {
    "model_config": ModelSection,
    "data_config": DataSection,
    "trainer_config": TrainerSection,
}


_WITHIN: dict[str, type] = {
    "validation": ValidationSection,
    "passage_vectors": VectorsSection,
}
"""Sections within sections."""


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a YAML configuration.

    Args:
        path: a file, or the name of one of those in `CONFIGS`, such as `hypencoder.6_layer`.
        overrides: `section.key=value`, each with a value in YAML, to be set in it.

    Raises:
        TrainingError: the file is missing, is no YAML, or holds a key that does not exist.
    """
    bundled = CONFIGS / f"{path}.yaml"
    file = bundled if os.path.isfile(bundled) and not os.path.exists(path) else Path(path)
    if not os.path.exists(file):
        names = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
        raise TrainingError(
            f"{path} cannot be read, for it does not exist; the configurations that come along are "
            f"{names}."
        )
    text = read_text(file, TrainingError, "configuration", LARGEST)
    try:
        value = parse_yaml(text)
    except Malformed as error:
        raise TrainingError(f"{path} is {error}") from error
    for override in overrides:
        keys, equals, text = override.partition("=")
        if not equals:
            raise TrainingError(f"--set {shown(override)}: give section.key=value.")
        try:
            new = parse_yaml(text)
        except Malformed as error:
            raise TrainingError(f"--set {shown(keys)}: {shown(text)} is {error}") from error
        value = {} if value is None else value
        _set(value, keys.split("."), new)
    return parse_config(value, str(path))


def _set(value: Any, keys: list[str], new: Any) -> None:
    """Set a value within nested mappings, which are made where they are missing."""
    for key in keys[:-1]:
        if not isinstance(value, dict):
            break
        if value.get(key) is None:
            value[key] = {}
        value = value[key]
    if not isinstance(value, dict):
        raise TrainingError(f"--set {'.'.join(keys)}: {keys[-1]} is within no mapping.")
    value[keys[-1]] = new


def parse_config(value: Any, source: str = "the configuration") -> TrainingConfig:
    """Check a configuration that was read, and name `source` in what is wrong with it.

    Raises:
        TrainingError: a section or key does not exist, or the training data are not named.
    """
    if not isinstance(value, dict):
        raise TrainingError(f"{source} is no mapping of {', '.join(_SECTIONS)}.")
    check_keys(value, list(_SECTIONS), source)
    sections: dict[str, Any] = {}
    for name, section in _SECTIONS.items():
        given = value.get(name) or {}
        if not isinstance(given, dict):
            raise TrainingError(f"{source}: {name} is no mapping.")
        for key, inner in _WITHIN.items():
            if key not in get_type_hints(section) or given.get(key) is None:
                continue
            where = f"{source}, {name}, {key}"
            if not isinstance(given[key], dict):
                raise TrainingError(f"{where}: is no mapping.")
            given = {**given, key: _section(inner, given[key], where)}
        sections[name] = _section(section, given, f"{source}, {name}")
    config = TrainingConfig(**sections, source=source, given=value)
    config.data_config.check(source)
    _check_positives(config)
    return config


def _section(section: type[_Section], given: dict[str, Any], where: str) -> _Section:
    """Make a section of what is given, each value of the type that it must have."""
    check_keys(given, [f.name for f in fields(section)], where)  # type: ignore[arg-type]
    hints = get_type_hints(section)
    for key, value in given.items():
        if not fits(value, hints[key]):
            raise TrainingError(f"{where}: {key} is {shown(value)}: give {describe(hints[key])}.")
        if key in _AT_LEAST_1 and value is not None and value < 1:
            raise TrainingError(f"{where}: {key} is {shown(value)}: give at least 1.")
    return section(**given)


def _check_positives(config: TrainingConfig) -> None:
    """Refuse further positives where the loss would take them for negatives."""
    names, kwargs = config.model_config.loss_type, config.model_config.loss_kwargs
    names = [names] if isinstance(names, str) else list(names)
    kwargs = kwargs if isinstance(kwargs, list) else [kwargs]
    options: dict[str, Any] = dict(zip(names, kwargs, strict=False)).get("cross_entropy") or {}
    several = config.data_config.num_positives_to_sample > 1
    first_alone = options.get("only_use_first_item") and options.get("use_in_batch_negatives", True)
    if several and "cross_entropy" in names and not first_alone:
        raise TrainingError(
            f"{config.source}: num_positives_to_sample can only be 1 with the loss cross_entropy, "
            "which takes further positives for negatives: set it to 1, or only_use_first_item with "
            "use_in_batch_negatives."
        )


def check_keys(given: dict[str, Any], known: Sequence[str], where: str) -> None:
    """Raise a TrainingError for the first key that is unknown, with the nearest known one."""
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(shorten(key), known, 1) if isinstance(key, str) else []
            hint = f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}."
            raise TrainingError(f"{where}: there is no key {shown(key)}{hint}")
