"""What a client asks for, read from the parameters of a URL or from a JSON body, and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypserini.errors import HypseriniError, named

MODES = ("auto", "exhaustive", "tangent", "graph", "bm25", "hybrid")
WORDS = ("all", "document")
MOST_HITS = 10_000
MOST_CHARACTERS = 10_000
"""Of a query or a filter."""
SEARCH_PARAMETERS = (
    "query hits offset parse k1 b max_doc_length mode filter cost rerank qid".split()
)
JUDGED_DEPTH = 10
"""Ranks that a judged search looks at, however few hits are asked for: nDCG@10 needs them."""


class BadRequest(HypseriniError):
    """A request that the client can mend: answered with status 400."""


class NotFound(HypseriniError):
    """What a request names and the server does not hold: answered with status 404."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How documents are shown: see `documents.shown_document`."""

    parse: bool = True
    longest: int | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Shown:
        """Read `parse` and `max_doc_length`."""
        shown = cls(_flag(values, "parse", True), _whole(values, "max_doc_length", None))
        if shown.longest is not None and not shown.parse:
            raise BadRequest("Parameter 'max_doc_length' requires parse=true")
        return shown


@dataclass(frozen=True, slots=True)
class How:
    """What searches must have in common to be done in one batch.

    Attributes:
        mode: One of `MODES`, or `rerank`, or `explain`.
        k: Hits, those that are skipped included.
        filter: A query in Lucene's syntax, or None.
        k1: BM25's; given with `b` or not at all.
        b: BM25's.
    """

    mode: str = "auto"
    k: int = 10
    filter: str | None = None
    k1: float | None = None
    b: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """One search that is asked for.

    Attributes:
        query: The text.
        how: What may be shared with others.
        offset: Hits to skip.
        hits: Hits to show.
        docids: The documents to rank, for the mode `rerank`, or the one to explain.
        shown: How documents are shown.
        cost: Whether the answer tells the cost.
        qid: The judged topic that the query is, or None.
        words: Whose words an explanation traces, one of `WORDS`.
    """

    query: str
    how: How = How()
    offset: int = 0
    hits: int = 10
    docids: tuple[str, ...] = ()
    shown: Shown = Shown()
    cost: bool = False
    qid: str | None = None
    words: str = "all"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Search:
        """Read a search; names and bounds of Pyserini's parameters are Pyserini's.

        Args:
            values: The parameters: strings from a URL, or what JSON has.

        Raises:
            BadRequest: One is unknown, missing or out of bounds.
        """
        if strange := [name for name in values if name not in SEARCH_PARAMETERS]:
            raise BadRequest(f"unknown parameter: {named(strange)}")
        query = _text(values, "query")
        if query is None:
            raise BadRequest("Parameter 'query' is required")
        hits = _whole(values, "hits", 10) or 10
        offset = _whole(values, "offset", 0, least=0) or 0
        if hits + offset > MOST_HITS:
            raise BadRequest(f"Parameters 'hits' and 'offset' must be at most {MOST_HITS} together")
        k1, b = _number(values, "k1", math.inf), _number(values, "b", 1)
        if (k1 is None) != (b is None):
            raise BadRequest("BM25 parameters k1 and b must be set together")
        docids = _docids(values.get("rerank"))
        if values.get("rerank") is not None and not docids:
            raise BadRequest("Parameter 'rerank' names no docid")
        mode = _text(values, "mode") or ("rerank" if docids else "auto")
        if docids and mode != "rerank":
            raise BadRequest("Parameter 'rerank' leaves no choice of 'mode'")
        if mode not in MODES and not docids:
            raise BadRequest(f"Parameter 'mode' must be one of {', '.join(MODES)}")
        if k1 is not None and mode not in ("bm25", "hybrid"):
            raise BadRequest("Parameters 'k1' and 'b' belong to the modes bm25 and hybrid")
        filter = _text(values, "filter")
        if docids and filter:
            raise BadRequest("Parameter 'filter' does nothing where 'rerank' names the documents")
        qid = _text(values, "qid")
        how = How(mode, max(hits + offset, JUDGED_DEPTH if qid else 0), filter, k1, b)
        shown = Shown.of(values)
        return cls(query, how, offset, hits, docids, shown, _flag(values, "cost", False), qid)


def explanation_of(docid: str, values: Mapping[str, Any]) -> Search:
    """Read what is to be explained: the score of a document for `query`.

    Raises:
        BadRequest: There is no query, or a parameter that is not known.
    """
    if strange := [name for name in values if name not in ("query", "words")]:
        raise BadRequest(f"unknown parameter: {named(strange)}")
    query = _text(values, "query")
    if query is None:
        raise BadRequest("Parameter 'query' is required")
    words = _text(values, "words") or "all"
    if words not in WORDS:
        raise BadRequest(f"Parameter 'words' must be one of {', '.join(WORDS)}")
    return Search(query, How("explain", 1), docids=(utf8(docid, "docid"),), words=words)


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadRequest(f"Parameter '{name}' must be a string")
    if len(value) > MOST_CHARACTERS:
        raise BadRequest(f"Parameter '{name}' must be of at most {MOST_CHARACTERS} characters")
    return utf8(value, name) if value.strip() else None


def utf8(text: str, name: str) -> str:
    """The text, if it can be written as UTF-8; JSON can spell half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"Parameter '{name}' must be Unicode text") from None
    return text


def _flag(values: Mapping[str, Any], name: str, default: bool) -> bool:
    value = values.get(name, default)
    found = {"true": True, "false": False}.get(str(value).strip().lower())
    if found is None:
        raise BadRequest(f"Parameter '{name}' must be 'true' or 'false'")
    return found


def _whole(values: Mapping[str, Any], name: str, default: int | None, least: int = 1) -> int | None:
    value = values.get(name)
    if value is None or not str(value).strip():
        return default
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadRequest(f"Parameter '{name}' must be an integer")
    if number < least:
        wanted = "positive" if least else "at least 0"
        raise BadRequest(f"Parameter '{name}' must be {wanted}")
    return number


def _number(values: Mapping[str, Any], name: str, most: float) -> float | None:
    value = values.get(name)
    if value is None or not str(value).strip():
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"Parameter '{name}' must be a number") from None
    if not math.isfinite(number) or not 0 <= number <= min(most, 1e9):
        bounds = f"in [0, {most:g}]" if most < math.inf else "finite and non-negative"
        raise BadRequest(f"Parameter '{name}' must be {bounds}")
    return number


def _docids(value: Any) -> tuple[str, ...]:
    docids = [value] if isinstance(value, str) else value or []
    if not isinstance(docids, list) or not all(isinstance(docid, str) for docid in docids):
        raise BadRequest("Parameter 'rerank' must be a list of docids")
    if len(docids) > MOST_HITS:
        raise BadRequest(f"Parameter 'rerank' must hold at most {MOST_HITS} docids")
    # As the index does: a docid has no blanks around it, and counts once.
    once = dict.fromkeys(utf8(docid.strip(), "rerank") for docid in docids)
    return tuple(docid for docid in once if docid)
