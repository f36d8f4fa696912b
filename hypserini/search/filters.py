"""Filters: search only some documents of an index."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filter:
    """The documents that a search may return; made by `filters.load_filter`.

    Attributes:
        query: A query over the text fields, in Lucene's syntax; None: `docids` say which.
        docids: The documents' ids.
    """

    query: str | None = None
    docids: frozenset[str] = frozenset()
