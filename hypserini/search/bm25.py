"""BM25 over the text in an index, by Anserini's own searcher."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.metadata import IndexMetadata
from hypserini.index.shards import IndexPaths, folders_of
from hypserini.jvm.threads import side_by_side
from hypserini.search.filters import Filter, java_of
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hits

logger = logging.getLogger(__name__)

MOST = 2**31 - 1
"""What Java's numbers hold; no Lucene index has more documents."""
MOST_K1 = 1e9
DEFAULT = (0.9, 0.4)
TUNED = {
    "msmarco-v1-passage": (0.82, 0.68),
    "msmarco-v1-doc": (4.46, 0.82),
    "msmarco-v1-doc-segmented": (2.16, 0.61),
}
"""k1 and b that Pyserini sets for collections it knows by name."""


@dataclass(frozen=True, slots=True)
class Bm25Options:
    """How BM25 ranks; what is left out is as in `python -m pyserini.search.lucene`.

    Attributes:
        k1: Saturation of the term frequency; by default 0.9, or what Pyserini sets for the
            collection's name. Given together with `b` or not at all.
        b: Normalisation of the document's length; by default 0.4, or as above.
        rm3: Expand the query by relevance feedback.
        fb_terms: Terms that RM3 adds.
        fb_docs: Documents that RM3 takes them from.
        original_query_weight: What remains of the query under RM3.
    """

    k1: float | None = None
    b: float | None = None
    rm3: bool = False
    fb_terms: int = 10
    fb_docs: int = 10
    original_query_weight: float = 0.5

    def __post_init__(self) -> None:
        check_range(0, MOST_K1, k1=self.k1)
        check_range(0, 1, b=self.b, original_query_weight=self.original_query_weight)
        check_range(1, MOST, fb_terms=self.fb_terms, fb_docs=self.fb_docs)


class Bm25:
    """Anserini's SimpleSearcher, which Pyserini's LuceneSearcher wraps: the same hits and scores.

    Used directly because importing Pyserini's takes seconds, and in 2.4 the web. Thread safe.

    Args:
        index: The folder of an index with text, ours or Pyserini's, or of shards; or several.
        options: Parameters; the defaults are Pyserini's.

    Raises:
        IndexingError: There is no such index, or only one of `k1` and `b` is given.
    """

    def __init__(self, index: IndexPaths, options: Bm25Options | None = None) -> None:
        options = options or Bm25Options()
        folders = folders_of(index)
        self.path = folders[0]
        if (options.k1 is None) != (options.b is None):
            raise IndexingError("BM25 takes both k1 and b (--k1 and --b), or neither.")
        java_bm25 = jvm.java_class("io.hypserini.Bm25")
        with self._reading():
            self._java: Any = java_bm25(jvm.pack_paths(folders))
            try:
                self._set(options)
            except BaseException:
                self.close()
                raise

    def _set(self, options: Bm25Options) -> None:
        self.k1, self.b = self._parameters(options)
        k1, b = float(self.k1), float(self.b)
        self._java.setBm25(k1, b)
        if options.rm3:
            terms, documents = options.fb_terms, options.fb_docs
            weight = float(options.original_query_weight)
            self._java.setRm3(terms, documents, weight)

    def _reading(self) -> AbstractContextManager[None]:
        return jvm.reading(self.path, "BM25 cannot search the index {}")

    def _parameters(self, options: Bm25Options) -> tuple[float, float]:
        if options.k1 is not None and options.b is not None:
            return options.k1, options.b
        data = jvm.unpack_pairs(self._java.metadata(0).tostring())
        metadata = IndexMetadata.from_user_data(data, str(self.path))
        known = TUNED.get(metadata.collection) if metadata else None
        if known:
            logger.info("BM25 with k1 %s and b %s, Pyserini's for this collection", *known)
        return known or DEFAULT

    def search(self, q: str, k: int = 10, filter: Filter | None = None) -> Hits:
        """The `k` best documents for a text, best first; none if no term of it occurs.

        Args:
            q: The text.
            k: Documents to return.
            filter: Return only these documents, with the scores they have among all; relevance
                feedback still learns from all.

        Raises:
            IndexingError: Relevance feedback finds neither term vectors nor stored JSON.
        """
        check_range(1, k=k)
        k = min(k, MOST)
        jvm.start()  # refuses in a forked process, where a call would hang
        query, within = jvm.pack([q]), java_of(filter)
        with self._reading():
            found = self._java.search(query, k, within)
            scores = np.frombuffer(found.scores().tostring(), "<f4")
            return Hits.of((jvm.unpack(found.docids().tostring()), scores))

    def batch_search(
        self,
        queries: Sequence[str],
        qids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        filter: Filter | None = None,
    ) -> dict[str, Hits]:
        """The `k` best documents of each query, by query id; arguments as in `search`."""
        if threads == 1:
            return {qid: self.search(q, k, filter) for q, qid in zip(queries, qids, strict=True)}
        found = side_by_side(
            lambda q: self.search(q, k, filter), queries, threads, "hypserini-bm25"
        )
        return dict(zip(qids, found, strict=True))

    def close(self) -> None:
        """Close the index."""
        self._java.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
