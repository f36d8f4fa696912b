"""Filters: search only some documents of an index."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hypserini import jvm
from hypserini.errors import IndexingError, shown
from hypserini.formats.docids import means_docids_file, read_docids
from hypserini.formats.reading import placed
from hypserini.formats.values import check_id
from hypserini.index.reader import Index

logger = logging.getLogger(__name__)

_LOOKED_UP = 10_000
_MOST_KEPT = 8


class Filter:
    """The documents of an index that a search may return; any number of searches may share it.

    Made by `Filter.matching` or `Filter.listed`, for the index as it is opened.

    Attributes:
        what: The query or the docids that it was made of.
    """

    def __init__(self, java: Any, index: Index, what: str | list[str]) -> None:
        self.java = java
        self.index = index
        self.what = what

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
                    f"the filter {shown(query)} is not a query in Lucene's syntax:"
                    f" {jvm.reason(error)}"
                ) from None
        return cls(java, index, query)

    @classmethod
    def listed(cls, index: Index, docids: Iterable[str], source: str = "filter") -> Filter:
        """The documents with these ids; how many ids the index does not hold is logged.

        Args:
            index: The index.
            docids: The ids; whole numbers are taken as well.
            source: Where the ids come from, for the log.

        Raises:
            IndexingError: What is given is no id.
        """
        with placed(f"the {source}", IndexingError):
            ids = sorted({check_id(docid) for docid in docids})
        packed = jvm.pack(ids)
        with index.reading():
            java = jvm.java_class("io.hypserini.Filter").listed(index.java, packed)
        made = cls(java, index, ids)
        if unknown := len(ids) - int(made.java.documents()):
            logger.warning(
                "the %s: %s of its %s docids are not in the index%s",
                *(source, "all" if unknown == len(ids) else f"{unknown:,}", f"{len(ids):,}"),
                _example(index, ids),
            )
        return made

    @property
    def count(self) -> int:
        """How many documents with a vector it lets through."""
        return int(self.java.count())


def make_filter(index: Index, what: str | Path | Iterable[str] | Filter | None) -> Filter | None:
    """The filter that is meant by a query, the path of a file of docids, or some docids.

    Args:
        index: The index to be searched.
        what: A query in Lucene's syntax; a `Path`, or a string that is the path of a file or looks
            like one, with a docid a line; docids; a filter; or None.

    Raises:
        IndexingError: The query cannot be parsed, the file cannot be read, or the filter was made
            for another index.
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
    if isinstance(what, str) and not means_docids_file(what):
        return matching_filter(index, what)
    if isinstance(what, str | Path):
        docids = list(read_docids(what, IndexingError, "filter file"))
        if not docids:
            raise IndexingError(f"the filter file {what} is empty: give a docid a line.")
        return Filter.listed(index, docids, f"filter file {what}")
    return Filter.listed(index, what)


def matching_filter(index: Index, query: str) -> Filter:
    """The filter of a query, which is never taken for the name of a file.

    The last few are kept, for making one passes over all its matches.
    """
    kept = index.kept_filters
    made = kept.pop(query, None) or Filter.matching(index, query)
    kept[query] = made
    for oldest in list(kept)[:-_MOST_KEPT]:
        kept.pop(oldest, None)
    return made


def remake_filter(index: Index, what: str | list[str]) -> Filter:
    """A filter of another index made anew for this one, from its `what`."""
    return matching_filter(index, what) if isinstance(what, str) else Filter.listed(index, what)


def _example(index: Index, docids: Sequence[str]) -> str:
    """The first docid that the index does not hold, if it is among the first many."""
    first = docids[:_LOOKED_UP]
    missing = (docid for docid, there in zip(first, index.holds(first), strict=True) if not there)
    docid = next(missing, None)
    return "" if docid is None else f": {shown(docid)} for one"


def java_of(filter: Filter | None) -> Any:
    """What Java takes for a filter."""
    return None if filter is None else filter.java


def count_searched(index: Index, filter: Filter | None) -> int:
    """How many documents a search may return."""
    return index.num_vectors if filter is None else filter.count
