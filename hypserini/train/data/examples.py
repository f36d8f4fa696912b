"""What a model is trained on: a query and documents, as they stand in a line of JSON or a row.

`{"query": {"id", "content"}, "items": [{"id", "content", "score", "type"}, ...]}`: training takes
what it needs of it (`parse_example`); mining and teaching add to it and keep every field
(`read_examples`, `format_example`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hypserini.errors import TrainingError, shown
from hypserini.formats.reading import read_lines
from hypserini.formats.values import Malformed, clean, parse_json
from hypserini.train.data.lines import WHAT

WholeExample = dict[str, Any]
"""An example as it stands, every field kept."""


class Item(NamedTuple):
    """A document of an example, by its text or its docid; `score` is the teacher's."""

    content: str
    score: float | None = None
    type: str | None = None
    docid: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A query and its documents."""

    query: str
    items: tuple[Item, ...]


def parse_example(value: Any, label_key: str | None, *, by_docid: bool = False) -> Example:
    """Make an example of `{"query": {"content"}, "items": [{"content", "score", "type"}, ...]}`.

    Args:
        value: what was read; further fields are left out.
        label_key: the field of an item that holds its score; None: scores are not read.
        by_docid: documents are known by their `id`, and need no `content`.

    Raises:
        Malformed: a field is missing or of the wrong type; names it, but not the place.
    """
    check_example(value, by_docid=by_docid)
    query, items = value["query"], value["items"]
    if not query["content"].strip():
        raise Malformed("query.content is empty.")
    made = tuple(_item(number, item, label_key, by_docid) for number, item in enumerate(items))
    return Example(clean(query["content"]), made)


def _item(number: int, item: Any, label_key: str | None, by_docid: bool) -> Item:
    score = None if label_key is None else item.get(label_key)
    if score is not None:
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise Malformed(f"items[{number}].{label_key} is no number: {shown(score)}.")
        if not -_LARGEST < score < _LARGEST:
            raise Malformed(f"items[{number}].{label_key} is {shown(score)}, not a finite number.")
        score = float(score)
    if by_docid:
        return Item("", score, item.get("type"), str(item["id"]))
    return Item(clean(item["content"]), score, item.get("type"))


# What float32 can hold, in which the losses calculate.
_LARGEST = math.ldexp(1.0, 128)


def check_example(value: Any, *, by_docid: bool = False) -> WholeExample:
    """Check contents, ids and types; not scores, for they may be what is to be replaced.

    Args:
        value: what was read.
        by_docid: documents need an `id`, and no `content`.

    Raises:
        Malformed: a field is missing or of the wrong type; names it, but not the place.
    """
    if not isinstance(value, dict):
        raise Malformed("not a JSON object with query and items.")
    _check_text(value.get("query"), "query")
    items = value.get("items")
    if not isinstance(items, list) or not items:
        raise Malformed("items is missing or empty: give at least a positive.")
    for number, item in enumerate(items):
        _check_text(item, f"items[{number}]", by_docid)
    return value


def read_examples(
    path: str | Path, *, by_docid: bool = False
) -> Iterator[tuple[int, WholeExample]]:
    """Stream the examples of a file with their line numbers; `.gz` is decompressed.

    With `by_docid`, documents are named by their ids and need no text.

    Raises:
        TrainingError: the file is missing, damaged, empty or malformed; names line and field.
    """
    empty = True
    for line, text in read_lines(path, TrainingError, WHAT):
        try:
            example = check_example(parse_json(text), by_docid=by_docid)
        except Malformed as error:
            raise TrainingError(f"{path}, line {line}: {error}") from error
        empty = False
        yield line, example
    if empty:
        raise TrainingError(f"the {WHAT} {path} is empty: give a file of JSON lines.")


def format_example(example: WholeExample) -> str:
    """The example as a line; halves of surrogate pairs, which UTF-8 cannot hold, are replaced.

    Raises:
        TrainingError: it is nested too deeply to be written.
    """
    try:
        return clean(json.dumps(example, ensure_ascii=False)) + "\n"
    except RecursionError as error:
        raise TrainingError("an example is nested too deeply to be written again.") from error


def _check_text(value: Any, name: str, by_docid: bool = False) -> None:
    if by_docid and (not isinstance(value, dict) or value.get("id") is None):
        raise Malformed(f"{name}.id is missing: documents are known by it to passage_vectors.")
    is_text = by_docid or (isinstance(value, dict) and isinstance(value.get("content"), str))
    if not is_text:
        raise Malformed(_without_content(name, value))
    identity = value.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        raise Malformed(f"{name}.id is neither text nor a whole number: {shown(identity)}.")
    kind = value.get("type")
    if kind is not None and not isinstance(kind, str):
        raise Malformed(f"{name}.type is no text: {shown(kind)}.")


def _without_content(field: str, value: Any) -> str:
    if isinstance(value, dict) and "tokenized_content" in value and "content" not in value:
        return f"{field}.content is missing: texts are tokenized here, so give them as they were."
    return f"{field}.content is missing or no text."
