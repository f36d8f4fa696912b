"""Filters: search only some documents of an index."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.formats.output import open_text
from hypserini.index.reader import Index


class Filter:
    """The documents of an index that a search may return; any number of searches may share it.

    Made by `Filter.matching` or `Filter.listed`, for the index as it is opened.
    """

    def __init__(self, java: Any, index: Index) -> None:
        self.java = java
        self.index = index

    @classmethod
    def matching(cls, index: Index, query: str) -> Filter:
        """The documents that match a query in Lucene's syntax over the text fields.

        The field is `contents` where none is named: `graph AND "random walk"`, `id:doc1*`.

        Raises:
            IndexingError: The query cannot be parsed.
        """
        from jnius import JavaException

        packed = jvm.pack([query])
        with index.reading():
            try:
                java = jvm.java_class("io.hypserini.Filter").matching(index.java, packed)
            except JavaException as error:
                if error.classname != "io.hypserini.Refused":
                    raise
                raise IndexingError(
                    f"the filter {query!r} is not a query in Lucene's syntax: {jvm.reason(error)}"
                ) from None
        return cls(java, index)

    @classmethod
    def listed(cls, index: Index, docids: Iterable[str]) -> Filter:
        """The documents with these ids; ids that the index does not hold are ignored."""
        packed = jvm.pack(sorted(set(docids)))
        with index.reading():
            java = jvm.java_class("io.hypserini.Filter").listed(index.java, packed)
        return cls(java, index)

    @property
    def count(self) -> int:
        """How many documents with a vector it lets through."""
        return int(self.java.count())


def make_filter(index: Index, what: str | Path | Iterable[str] | Filter | None) -> Filter | None:
    """The filter that is meant by a query, the path of a file of docids, or some docids.

    Args:
        index: The index to be searched.
        what: A query in Lucene's syntax; a `Path`, or a string that is the path of a file, with a
            docid a line; docids; a filter; or None.

    Raises:
        IndexingError: The query cannot be parsed, or the filter was made for another index.
        OSError: The file cannot be read.
    """
    if what is None:
        return None
    if isinstance(what, Filter):
        if what.index is not index:
            raise IndexingError(
                f"the filter was made for the index {what.index.path} as it was opened then: "
                f"make it anew for {index.path}."
            )
        return what
    if isinstance(what, Path) or (isinstance(what, str) and Path(what).is_file()):
        with open_text(what) as file:
            return Filter.listed(index, [line.strip() for line in file if line.strip()])
    if isinstance(what, str):
        return Filter.matching(index, what)
    return Filter.listed(index, what)


def java_of(filter: Filter | None) -> Any:
    """What Java takes for a filter."""
    return None if filter is None else filter.java


def count_searched(index: Index, filter: Filter | None) -> int:
    """How many documents a search may return."""
    return index.num_vectors if filter is None else filter.count
