"""A served index: its searcher and BM25 behind one queue."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hypserini.errors import HypseriniError, named
from hypserini.search.bm25 import Bm25, Bm25Options
from hypserini.search.filters import Filter, matching_filter
from hypserini.search.hybrid import HybridOptions, fuse
from hypserini.search.ranking import Hits
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.serve.batching import Batcher
from hypserini.serve.documents import shown_document
from hypserini.serve.judged import Judged
from hypserini.serve.requests import BadRequest, How, NotFound, Search, Shown

FUSED = 100
"""Hits of both rankings that a hybrid fuses, or so many for each hundred asked for."""

SCORE_DIGITS = 6
"""Decimals of a score, as in Pyserini's answers."""


class ServedIndex:
    """An index that requests name, opened once for all of them.

    Args:
        name: What requests call it.
        searcher: Its searcher, closed with this.
        limit: Requests that may wait.
        threads: Batches searched at once.
        judged: Its judged topics, if there are any.
    """

    types = ("tf", "lucene_flat", "lucene_hnsw")
    """Pyserini's kinds of indexes that it is searched as: by BM25, exhaustively, approximately."""

    def __init__(
        self,
        name: str,
        searcher: LuceneHypencoderSearcher,
        *,
        limit: int = 256,
        threads: int = 1,
        judged: Judged | None = None,
    ) -> None:
        self.name = name
        self.searcher = searcher
        self.judged = judged
        self._bm25 = Bm25(searcher.index.folders)
        size = searcher.batch_size
        self.queue = Batcher(self._search, limit=limit, batch_size=size, threads=threads)

    def warm(self) -> None:
        """Search once, so that the first request waits for no model and no import."""
        self._search(None, [Search("a", How("hybrid", 1))])

    def submit(self, search: Search) -> Future[dict[str, Any]]:
        """Put a search into the queue.

        Raises:
            Overloaded: The queue is full.
            BadRequest: The topic that it is said to be is not judged.
        """
        if search.qid is not None and not (self.judged and self.judged.grades(search.qid)):
            raise BadRequest(f"Parameter 'qid' names no judged topic of {self.name}")
        # Explanations take long, and gain nothing together: searches come between them.
        alone = search.how.mode == "explain"
        return self.queue.submit(search if alone else search.how, search)

    def document(self, docid: str, shown: Shown) -> Any:
        """A stored document.

        Raises:
            NotFound: The index holds no such document.
        """
        raw = self.searcher.index.stored_fields([docid], "raw")[0]
        if raw is None and not self.searcher.index.holds([docid])[0]:
            raise NotFound(f"Document not found: {docid}")
        return shown_document(raw, parse=shown.parse, longest=shown.longest)

    def about(self) -> dict[str, Any]:
        """What is known of the index; no path of this machine."""
        metadata = self.searcher.metadata
        return {
            "name": self.name,
            "documents": self.searcher.num_docs,
            "dimension": self.searcher.index.dimension,
            "model": metadata.model if metadata else None,
            "collection": metadata.collection if metadata else None,
            "judged": len(self.judged.topics) if self.judged else 0,
        }

    def topics(self) -> dict[str, Any]:
        """The judged topics of the index; none where there are none."""
        topics = self.judged.topics if self.judged else {}
        return {
            "api": "v1",
            "index": self.name,
            "qrels": self.judged.name if self.judged else None,
            "topics": [{"qid": qid, "text": text} for qid, text in topics.items()],
        }

    def close(self) -> None:
        """Answer what waits, and close the index."""
        self.queue.close()
        self._bm25.close()
        self.searcher.close()

    def _search(self, _: Hashable, searches: Sequence[Search]) -> list[dict[str, Any]]:
        """The answers to searches that are done alike."""
        how = searches[0].how
        if how.mode == "explain":
            return [self._explain(search) for search in searches]
        started = time.perf_counter()
        rankings = self._rank(how, searches)
        took = (time.perf_counter() - started) * 1e3
        return [
            self._answer(search, hits, took)
            for search, hits in zip(searches, rankings, strict=True)
        ]

    def _explain(self, search: Search) -> dict[str, Any]:
        query, docid = search.query, search.docids[0]
        if not self.searcher.index.holds([docid])[0]:
            raise NotFound(f"Document not found: {docid}")
        try:
            words = search.words == "all"
            explanation = asdict(self.searcher.explain(query, docid, query_words=words))
        except HypseriniError as error:
            raise BadRequest(str(error)) from error
        return {
            "api": "v1",
            "index": self.name,
            "query": {"text": query},
            "docid": docid,
            "explanation": explanation,
        }

    def _rank(self, how: How, searches: Sequence[Search]) -> list[Hits]:
        queries = [search.query for search in searches]
        qids = [str(n) for n in range(len(searches))]
        if how.mode == "rerank":
            given = {qid: search.docids for qid, search in zip(qids, searches, strict=True)}
            found: dict[str, Any] = self.searcher.batch_rerank(
                queries, qids, given, how.k, drop_missing=True
            )
            return [found[qid] for qid in qids]
        within = self._filter(how.filter)
        if how.mode == "bm25":
            return self._by_bm25(how, queries, qids, within)
        is_hybrid = how.mode == "hybrid"
        mode = "auto" if is_hybrid else how.mode
        # All pages are of one ranking, which the depth of what is fused decides about.
        deep = replace(how, k=-(-how.k // FUSED) * FUSED) if is_hybrid else how
        by_q_net = self.searcher.batch_search(queries, qids, deep.k, mode=mode, filter=within)
        rankings = [by_q_net[qid] for qid in qids]
        if not is_hybrid:
            return rankings
        by_bm25 = self._by_bm25(deep, queries, qids, within)
        fused = fuse(by_bm25, rankings, how.k, HybridOptions())
        return [Hits(both, one.cost) for both, one in zip(fused, rankings, strict=True)]

    def _by_bm25(
        self, how: How, queries: list[str], qids: list[str], within: Filter | None
    ) -> list[Hits]:
        if how.k1 is None:
            found = self._bm25.batch_search(queries, qids, how.k, filter=within)
        else:
            with Bm25(self.searcher.index.folders, Bm25Options(how.k1, how.b)) as bm25:
                found = bm25.batch_search(queries, qids, how.k, filter=within)
        return [found[qid] for qid in qids]

    def _filter(self, query: str | None) -> Filter | None:
        # Never by `make_filter`, which opens files: a client names no file of this machine.
        try:
            return None if query is None else matching_filter(self.searcher.index, query)
        except HypseriniError as error:
            raise BadRequest(str(error)) from error

    def _answer(self, search: Search, hits: Hits, took: float) -> dict[str, Any]:
        """The answer in Pyserini's form; `cost`, where asked for, is ours."""
        page = hits[search.offset : search.offset + search.hits]
        raws = self.searcher.index.stored_fields([hit.docid for hit in page], "raw")
        candidates = [
            {
                "docid": hit.docid,
                "score": round(hit.score, SCORE_DIGITS),
                "rank": rank,
                "doc": shown_document(raw, parse=search.shown.parse, longest=search.shown.longest),
            }
            for rank, (hit, raw) in enumerate(zip(page, raws, strict=True), search.offset + 1)
        ]
        answer: dict[str, Any] = {
            "api": "v1",
            "index": self.name,
            "query": {"text": search.query},
            "candidates": candidates,
        }
        if search.cost:
            answer["cost"] = {**asdict(hits.cost), "batch_ms": took}
            answer["cost"]["mode"] = hits.cost.mode or search.how.mode
        if search.qid is not None and self.judged is not None:
            ranking = [(hit.docid, hit.score) for hit in hits]
            answer["judged"] = self.judged.verdict(search.qid, ranking)
        return answer


def index_names(paths: Sequence[str]) -> list[str]:
    """What requests call the indexes of some folders.

    Raises:
        HypseriniError: Two folders have one name.
    """
    names = [Path(path).resolve().name for path in paths]
    if len(set(names)) < len(names):
        raise HypseriniError(
            f"two of the indexes have one name ({named(names)}), by which requests tell them"
            " apart: rename a folder, or link to it by another name."
        )
    return names


def open_indexes(
    paths: Sequence[str],
    *,
    limit: int = 256,
    threads: int = 1,
    judged: Mapping[str, Judged] | None = None,
    **searcher: Any,
) -> dict[str, ServedIndex]:
    """Open indexes to be served, each by the name of its folder.

    Args:
        paths: Their folders.
        limit: Requests that may wait for each.
        threads: Batches that each searches at once.
        judged: The judged topics of those that have some, by name.
        searcher: Further arguments of `LuceneHypencoderSearcher`.

    Raises:
        HypseriniError: Two folders have one name, or an index cannot be opened.
    """
    names = index_names(paths)
    served: dict[str, ServedIndex] = {}
    try:
        for name, path in zip(names, paths, strict=True):
            opened = LuceneHypencoderSearcher(path, **searcher)
            topics = (judged or {}).get(name)
            served[name] = ServedIndex(name, opened, limit=limit, threads=threads, judged=topics)
            served[name].warm()
    except BaseException:
        for index in served.values():
            index.close()
        raise
    return served
