"""A stored document as an answer shows it: in the form of Anserini's and Pyserini's servers."""

from __future__ import annotations

import json
import math
from typing import Any

from hypserini.formats.values import clean

IDS = frozenset({"id", "_id", "docid"})
TEXTS = frozenset({"body", "content", "contents", "text"})


def shown_document(raw: str | None, *, parse: bool = True, longest: int | None = None) -> Any:
    """What stands under `doc` in an answer.

    Of a JSON object the fields but for its id, each a string unless it is an object or an array;
    the one field's value where there is but one. What is no JSON is shown as it is stored.

    Args:
        raw: What is stored, or None.
        parse: Read JSON; otherwise the stored string is the answer.
        longest: Characters shown of a text (`body`, `content`, `contents`, `text`, or the whole).
    """
    if raw is None or not parse:
        return raw
    try:
        # JSON has no NaN, and an answer may hold none: such words stay words.
        value = _sendable(json.loads(raw, parse_constant=str))
    except (ValueError, RecursionError):
        value = raw
    if isinstance(value, dict):
        fields = {
            name: field if isinstance(field, dict | list) else str(field)
            for name, field in value.items()
            if name not in IDS
        }
        value = next(iter(fields.values())) if len(fields) == 1 else fields
    if longest is None:
        return value
    if isinstance(value, str):
        return value[:longest]
    if isinstance(value, dict):
        return {
            name: field[:longest] if name.lower() in TEXTS and isinstance(field, str) else field
            for name, field in value.items()
        }
    return value


def _sendable(value: Any) -> Any:
    """A value of JSON without what an answer cannot hold: halves of characters, and infinity."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _sendable(field) for name, field in value.items()}
    if isinstance(value, list):
        return [_sendable(field) for field in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
