"""Documents of a collection: what they hold, and how an id and a text are made of their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypserini.errors import named, shown
from hypserini.formats.values import Malformed, check_id, clean

# A passage of MS MARCO v2 has a pid of its own, beside the docid of the document it was cut from.
ID_KEYS = ("id", "_id", "pid", "docid", "doc_id", "docno")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a collection.

    Attributes:
        docid: its id, never empty and free of white space (a run file could not hold it).
        contents: the text to encode and to index; may be empty.
        raw: the JSON to store: the collection's own, or `{"id", "contents"}` for TSV.
        source: the file it came from, or the name of the data set.
        line: the line in that file, or its position in a data set, from 1.
    """

    docid: str
    contents: str
    raw: str
    source: str
    line: int


def id_of(value: Mapping[str, Any]) -> str:
    """Return the id of a JSON document: the first of ID_KEYS that holds one.

    Raises:
        Malformed: it has none, or one that a run file could not hold.
    """
    present = [key for key in ID_KEYS if key in value]
    if not present:
        raise Malformed(
            f"the document has no id (one of {', '.join(ID_KEYS)}; its fields are {named(value)})."
        )
    for key in present:
        if value[key] not in (None, ""):
            return check_id(value[key])
    return check_id(value[present[0]])


def text_of(value: Mapping[str, Any], fields: Sequence[str] | None) -> str:
    """Return the text of a JSON document: its fields joined by a space, empty ones left out.

    Args:
        value: the document.
        fields: what the text is made of; None: `contents`, or `title` and `text` where that holds
            no text.

    Raises:
        Malformed: the document has none of the fields, or one that is not a string.
    """
    if not fields:
        fields = _usual_fields(value)
    parts = []
    for field in fields:
        part = value.get(field)
        if part is None:
            continue
        if not isinstance(part, str):
            raise Malformed(f"field {field} is not a string but {shown(part)}.")
        if part:
            parts.append(part)
    if not parts and not any(field in value for field in fields):
        raise Malformed(
            f"the document has none of the chosen fields {named(fields)} (its fields are "
            f"{named(value)}): choose others with --fields."
        )
    return clean(" ".join(parts))


def _usual_fields(value: Mapping[str, Any]) -> Sequence[str]:
    contents = value.get("contents")
    if contents is None or contents == "" or (isinstance(contents, str) and contents.isspace()):
        if "text" in value:
            return ("title", "text")
        if "contents" not in value:
            raise Malformed(
                f"the document has no contents and no text (its fields are {named(value)}): choose "
                "fields with --fields."
            )
    return ("contents",)


def make_raw(docid: str, contents: str) -> str:
    """Return the JSON that is stored for a document that was not JSON itself."""
    return json.dumps({"id": docid, "contents": contents}, ensure_ascii=False)
