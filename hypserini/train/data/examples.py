"""What a model is trained on: a query and documents, as they stand in a line of JSON or a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypserini.errors import TrainingError
from hypserini.index.formats import clean


class Item(NamedTuple):
    """A document of an example; `score` is the teacher's."""

    content: str
    score: float | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A query and its documents."""

    query: str
    items: tuple[Item, ...]


def parse_example(value: Any, label_key: str | None) -> Example:
    """Make an example of `{"query": {"content"}, "items": [{"content", "score", "type"}, ...]}`.

    Args:
        value: what was read; further fields are left out.
        label_key: the field of an item that holds its score; None: scores are not read.

    Raises:
        TrainingError: a field is missing or of the wrong type; names it, but not the place.
    """
    if not isinstance(value, dict):
        raise TrainingError("not a JSON object.")
    query = value.get("query")
    if not isinstance(query, dict) or not isinstance(query.get("content"), str):
        raise TrainingError(_without_content("query", query))
    if not query["content"].strip():
        raise TrainingError("query.content is empty.")
    items = value.get("items")
    if not isinstance(items, list) or not items:
        raise TrainingError("items is missing or empty.")
    made = tuple(_item(number, item, label_key) for number, item in enumerate(items))
    return Example(clean(query["content"]), made)


def _item(number: int, item: Any, label_key: str | None) -> Item:
    if not isinstance(item, dict) or not isinstance(item.get("content"), str):
        raise TrainingError(_without_content(f"items[{number}]", item))
    score = None if label_key is None else item.get(label_key)
    if score is not None:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise TrainingError(f"items[{number}].{label_key} is no number: {_short(score)}.")
        if not -_LARGEST < score < _LARGEST:
            raise TrainingError(
                f"items[{number}].{label_key} is {_short(score)}, not a finite number."
            )
        score = float(score)
    kind = item.get("type")
    if kind is not None and not isinstance(kind, str):
        raise TrainingError(f"items[{number}].type is no text: {_short(kind)}.")
    return Item(clean(item["content"]), score, kind)


# What float32 can hold, in which the losses calculate.
_LARGEST = math.ldexp(1.0, 128)


def _without_content(field: str, value: Any) -> str:
    if isinstance(value, dict) and "tokenized_content" in value and "content" not in value:
        return f"{field}.content is missing: texts are tokenized here, so give them as they were."
    return f"{field}.content is missing or no text."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
