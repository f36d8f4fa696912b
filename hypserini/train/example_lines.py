"""The JSON lines of training data as they stand, every field kept: read, checked and written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from gzip import BadGzipFile
from pathlib import Path
from typing import Any

from hypserini.errors import TrainingError
from hypserini.files import open_text
from hypserini.index.formats import clean

Example = dict[str, Any]
"""`{"query": {"id", "content"}, "items": [{"id", "content", "score", "type"}, ...]}`."""


def read_examples(path: str | Path) -> Iterator[tuple[int, Example]]:
    """Stream the examples of a file with their line numbers; `.gz` is decompressed.

    Contents, ids and types are checked; scores are not, for they may be what is to be replaced.

    Raises:
        TrainingError: the file is missing, damaged, empty or malformed; names line and field.
    """
    line = 0
    empty = True
    try:
        with open_text(path) as file:
            for line, text in enumerate(file, 1):
                if text.strip():
                    empty = False
                    yield line, parse_example(text, f"{path}, line {line}")
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path}, after line {line}: not UTF-8 text: convert it.") from error
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise TrainingError(f"{path} is a damaged gzip file ({error}): make it again.") from error
    except OSError as error:
        raise TrainingError(
            f"the training data {path} cannot be read ({error.strerror or error}): "
            "give a file of JSON lines."
        ) from error
    if empty:
        raise TrainingError(f"the training data {path} is empty: give a file of JSON lines.")


def parse_example(text: str, where: str) -> Example:
    """Read one line.

    Raises:
        TrainingError: it is malformed; names `where`, the field, and what was expected.
    """
    try:
        example = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{where}: malformed JSON ({error}).") from error
    if not isinstance(example, dict):
        raise TrainingError(f"{where}: expected a JSON object with query and items.")
    _check(example.get("query"), "query", where)
    items = example.get("items")
    if not isinstance(items, list) or not items:
        raise TrainingError(f"{where}: items is missing or empty: give at least a positive.")
    for number, item in enumerate(items):
        _check(item, f"items[{number}]", where)
    return example


def format_example(example: Example) -> str:
    """The example as a line; halves of surrogate pairs, which UTF-8 cannot hold, are replaced."""
    return clean(json.dumps(example, ensure_ascii=False)) + "\n"


def _check(value: Any, name: str, where: str) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        raise TrainingError(f"{where}: {name}.content is missing or no text.")
    identity = value.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        raise TrainingError(f"{where}: {name}.id is neither text nor a whole number.")
    kind = value.get("type")
    if kind is not None and not isinstance(kind, str):
        raise TrainingError(f"{where}: {name}.type is no text: {kind!r}.")
