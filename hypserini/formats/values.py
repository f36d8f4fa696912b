"""What a line or a file of text holds: characters, JSON, ids and numbers.

What is wrong with one is `Malformed`, which knows neither file nor room; whoever knows them makes
it the error of that room, with the place before it.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

from hypserini.errors import HypseriniError, shown

LONGEST_ID = 8191
"""Characters of an id; Lucene takes terms of 32,766 bytes."""
BOM = b"\xef\xbb\xbf"


class Malformed(HypseriniError):
    """What is wrong with a line or a value, not where; `line` counts from the first of them."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def decode(data: bytes) -> str:
    """Return a line, or a text, without its byte-order mark.

    Raises:
        Malformed: it is not UTF-8.
    """
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise not_utf8(error) from error


def not_utf8(error: UnicodeDecodeError) -> Malformed:
    """What is wrong with bytes that cannot be decoded."""
    data = error.object
    if data.startswith(b"\x1f\x8b"):
        return Malformed("gzipped, which its name does not say: end it in .gz.")
    return Malformed(
        f"not UTF-8 (byte {data[error.start]:#04x}): convert the file to UTF-8.",
        data.count(b"\n", 0, error.start),
    )


def parse_json(text: str | bytes, *, unique: bool = False) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the text.
        unique: refuse an object that has a key twice, of which else the last counts.

    Raises:
        Malformed: it is no JSON, nested too deeply, or holds a number of thousands of digits.
    """
    if isinstance(text, bytes):
        text = decode(text)
    try:
        return json.loads(text, object_pairs_hook=_unique if unique else None)
    except json.JSONDecodeError as error:
        if text[-1:].isspace():  # what breaks off at the end does so in the last line with text
            return parse_json(text.rstrip(), unique=unique)
        raise Malformed(
            f"malformed JSON ({error.msg} at column {error.colno}).", error.lineno - 1
        ) from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"malformed JSON ({json_limit(error)}).") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Malformed(f"the key {shown(key)} is there twice.")
        found[key] = value
    return found


def json_limit(error: Exception) -> str:
    """Which limit of Python's JSON reader an error other than its own is about."""
    nested = isinstance(error, RecursionError)
    return "nested too deeply" if nested else "a number has thousands of digits"


def clean(text: str) -> str:
    r"""Replace by U+FFFD what UTF-8 or C cannot hold: `\ud83d` alone, half of a pair, and NUL."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def check_id(value: object) -> str:
    """Return `value` as the id of a document or a query; whole numbers become strings.

    Raises:
        Malformed: no string or whole number, or an id that a run file could not hold.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 13_000:
        value = str(value)
    if not isinstance(value, str):
        raise Malformed(f"the id is not a string or a whole number but {shown(value)}.")
    if not value.strip():
        raise Malformed("the id is empty.")
    if value.split() != [value]:
        raise Malformed(
            f"the id {shown(value)} contains white space, which a run file cannot hold: replace "
            "it, by _ for example."
        )
    if len(value) > LONGEST_ID:
        raise Malformed(f"the id {shown(value)} is longer than {LONGEST_ID:,} characters.")
    return clean(value)


def parse_number(what: str, text: str) -> float:
    """Return the number that a column holds; `what` names it.

    Raises:
        Malformed: it is no number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or "_" in text:
        raise Malformed(f"the {what} {shown(text)} is not a number.")
    return value


def check_number(what: str, value: object) -> float:
    """Return a number of JSON as a float; `what` names it.

    Raises:
        Malformed: it is no number, or too large for one.
    """
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            number = float(value)
    if math.isnan(number):
        raise Malformed(f"the {what} {shown(value)} is not a number.")
    return number
