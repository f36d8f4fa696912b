"""Training data: JSON lines of queries and their documents, in the format of the paper's data set.

A line is `{"query": {"id", "content"}, "items": [{"id", "content", "score", "type"}, ...]}`; ids,
scores and types may be left out where nothing needs them.
"""

from __future__ import annotations

import json
import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from hypserini.errors import TrainingError
from hypserini.train.config import DataSection

POSITIVE_FILTERS = ("first", "type")
POSITIVE_TYPE = "positive"


@dataclass(frozen=True, slots=True)
class Item:
    """A document of a training example; `score` is the teacher's."""

    content: str
    score: float | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A query and its documents."""

    query: str
    items: tuple[Item, ...]


def training_data(section: DataSection, *, labels: bool, seed: int, source: str) -> TrainingData:
    """The checked examples to train on, as `data_config` names them.

    Args:
        section: the configuration.
        labels: a loss needs the teacher's scores.
        seed: of the drawing; with the epoch and the position it decides alone.
        source: the configuration's name, for messages.

    Raises:
        TrainingError: the data are missing or malformed; names file, line and field.
    """
    if not section.training_data_jsonl:
        raise TrainingError(f"{source}: data_config names no training_data_jsonl.")
    return _open(section.training_data_jsonl, section, labels, seed)


def validation_data(
    section: DataSection, *, labels: bool, seed: int, source: str
) -> TrainingData | None:
    """The examples whose loss is validated, or None; see `training_data`."""
    if not section.validation_data_jsonl:
        return None
    return _open(section.validation_data_jsonl, section, labels, seed)


def _open(path: str, section: DataSection, labels: bool, seed: int) -> TrainingData:
    return TrainingData(
        path,
        negatives=section.num_negatives_to_sample,
        positive_filter=section.positive_filter_type,
        scores=labels,
        seed=seed,
    )


class TrainingData(Dataset):
    """The examples of one file, each with one positive and so many negatives drawn from its own.

    The file is checked whole before training and then read line by line as needed: memory holds
    eight bytes an example.

    Args:
        path: the JSON lines.
        negatives: negatives an example.
        positive_filter: `first`, the first item is the positive, or `type`, one of those of type
            "positive" is drawn.
        scores: every item needs a score.
        seed: of the drawing; with the epoch and the position it decides alone.

    Raises:
        TrainingError: the file is missing, empty or malformed; names line and field.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        negatives: int = 0,
        positive_filter: str = "first",
        scores: bool = False,
        seed: int = 0,
    ) -> None:
        if positive_filter not in POSITIVE_FILTERS:
            raise TrainingError(
                f"positive_filter_type is {positive_filter!r}: "
                f"use one of {', '.join(POSITIVE_FILTERS)}."
            )
        self.path = Path(path)
        self.negatives = negatives
        self.positive_filter = positive_filter
        self.scores = scores
        self.seed = seed
        self.epoch = 0
        self._offsets = self._check()

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, position: int) -> Example:
        """The example at `position` with its positive first and its drawn negatives after it."""
        with open(self.path, "rb") as file:
            file.seek(self._offsets[position])
            example = _parse(file.readline())
        rng = random.Random(f"{self.seed} {self.epoch} {position}")
        positives, negatives = self._split(example.items)
        chosen = [positives[0] if self.positive_filter == "first" else rng.choice(positives)]
        chosen += rng.sample(negatives, self.negatives)
        return Example(example.query, tuple(chosen))

    def set_epoch(self, epoch: int) -> None:
        """Draw anew; accelerate's loader calls this at the start of each epoch."""
        self.epoch = epoch

    def _split(self, items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
        if self.positive_filter == "first":
            return items[:1], items[1:]
        positives = [item for item in items if item.type == POSITIVE_TYPE]
        return positives, [item for item in items if item.type != POSITIVE_TYPE]

    def _check(self) -> array[int]:
        """Read every line once and return where each begins."""
        offsets: array[int] = array("q")
        try:
            with open(self.path, "rb") as file:
                offset = 0
                for number, line in enumerate(file, 1):
                    if line.strip():
                        try:
                            self._check_example(_parse(line))
                        except TrainingError as error:
                            raise TrainingError(f"{self.path}, line {number}: {error}") from error
                        offsets.append(offset)
                    offset += len(line)
        except OSError as error:
            raise TrainingError(
                f"the training data {self.path} cannot be read ({error.strerror}): "
                "mend training_data_jsonl."
            ) from error
        if not offsets:
            raise TrainingError(f"the training data {self.path} is empty.")
        return offsets

    def _check_example(self, example: Example) -> None:
        positives, negatives = self._split(example.items)
        if not positives:
            raise TrainingError(f'no item has the type "{POSITIVE_TYPE}".')
        if len(negatives) < self.negatives:
            raise TrainingError(
                f"items holds {len(negatives)} negatives, but num_negatives_to_sample is "
                f"{self.negatives}."
            )
        if self.scores and any(item.score is None for item in example.items):
            raise TrainingError("an item has no score, which the loss needs.")


def _parse(line: bytes) -> Example:
    """Read one line, or raise a TrainingError that names the field."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise TrainingError(f"not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise TrainingError("not a JSON object.")
    query = value.get("query")
    if not isinstance(query, dict) or not isinstance(query.get("content"), str):
        raise TrainingError("query.content is missing or no text.")
    items = value.get("items")
    if not isinstance(items, list) or not items:
        raise TrainingError("items is missing or empty.")
    return Example(query["content"], tuple(_item(n, item) for n, item in enumerate(items)))


def _item(number: int, item: Any) -> Item:
    if not isinstance(item, dict) or not isinstance(item.get("content"), str):
        raise TrainingError(f"items[{number}].content is missing or no text.")
    score, kind = item.get("score"), item.get("type")
    if score is not None:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise TrainingError(f"items[{number}].score is no number: {score!r}.")
        if not math.isfinite(score):
            raise TrainingError(f"items[{number}].score is {score}, not a finite number.")
        score = float(score)
    if kind is not None and not isinstance(kind, str):
        raise TrainingError(f"items[{number}].type is no text: {kind!r}.")
    return Item(item["content"], score, kind)
