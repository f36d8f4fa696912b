"""What finds candidates for hard negatives: BM25 or the q-nets, over one of our indexes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from hypserini.index.reader import Index
from hypserini.search.bm25 import Bm25, Bm25Options
from hypserini.search.ranking import Hits
from hypserini.search.searcher import LuceneHypencoderSearcher


class Finder(Protocol):
    """Finds documents for queries.

    Attributes:
        index: The index that is searched.
        type: What its negatives are called in training data.
    """

    index: Index
    type: str

    def find(self, queries: Sequence[str], k: int) -> list[Hits]:
        """The `k` best documents of each query, best first."""

    def scores(
        self, queries: Sequence[str], docids: Sequence[Sequence[str]], hits: Sequence[Hits]
    ) -> list[dict[str, float]]:
        """The scores of documents of the index for each query, as far as they can be told.

        Args:
            queries: The queries.
            docids: Documents for each.
            hits: What `find` found for each.
        """

    def close(self) -> None:
        """Close the index."""


class Bm25Finder:
    """BM25; it tells the scores of what it found alone.

    Args:
        path: The index, with text.
        options: BM25's parameters.
        threads: Queries searched side by side.

    Raises:
        IndexingError: There is no such index, or it is none of ours.
    """

    type = "bm25_negative"

    def __init__(
        self, path: str | os.PathLike[str], options: Bm25Options | None = None, threads: int = 1
    ) -> None:
        self._bm25 = Bm25(path, options)
        self._threads = threads
        try:
            self.index = Index(path)
        except BaseException:
            self._bm25.close()
            raise

    def find(self, queries: Sequence[str], k: int) -> list[Hits]:
        """The `k` best documents of each query; fewer where fewer share a word with it."""
        qids = [str(number) for number in range(len(queries))]
        found = self._bm25.batch_search(queries, qids, k, self._threads)
        return [found[qid] for qid in qids]

    def scores(
        self, queries: Sequence[str], docids: Sequence[Sequence[str]], hits: Sequence[Hits]
    ) -> list[dict[str, float]]:
        """The scores of those documents that are among the hits."""
        return [_found(wanted, found) for wanted, found in zip(docids, hits, strict=True)]

    def close(self) -> None:
        """Close the index."""
        self._bm25.close()
        self.index.close()


class QNetFinder:
    """The q-net of each query.

    Args:
        searcher: Searches as it was told; it is closed with this.
        threads: Batches of queries searched side by side.
    """

    type = "mined_negative"

    def __init__(self, searcher: LuceneHypencoderSearcher, threads: int = 1) -> None:
        self.index = searcher.index
        self._searcher = searcher
        self._threads = threads

    def find(self, queries: Sequence[str], k: int) -> list[Hits]:
        """The `k` best documents of each query."""
        qids = [str(number) for number in range(len(queries))]
        found = self._searcher.batch_search(queries, qids, k, self._threads)
        return [found[qid] for qid in qids]

    def scores(
        self, queries: Sequence[str], docids: Sequence[Sequence[str]], hits: Sequence[Hits]
    ) -> list[dict[str, float]]:
        """The scores of all those documents; what was not found is scored now."""
        known = [_found(wanted, found) for wanted, found in zip(docids, hits, strict=True)]
        missing = {
            str(number): [docid for docid in wanted if docid not in known[number]]
            for number, wanted in enumerate(docids)
        }
        qids = [qid for qid, wanted in missing.items() if wanted]
        if qids:
            texts = [queries[int(qid)] for qid in qids]
            reranked = self._searcher.batch_rerank(texts, qids, missing, drop_missing=True)
            for qid, ranking in reranked.items():
                known[int(qid)].update((hit.docid, hit.score) for hit in ranking)
        return known

    def close(self) -> None:
        """Close the index."""
        self._searcher.close()


def open_finder(
    index: str | os.PathLike[str],
    mode: str = "bm25",
    *,
    model: str | None = None,
    bm25: Bm25Options | None = None,
    device: str = "auto",
    dtype: str = "auto",
    max_length: int | None = None,
    batch_size: int = 16,
    threads: int = 1,
) -> Finder:
    """Open an index for mining; the arguments are those of the searcher of that mode.

    Raises:
        IndexingError: The index is missing, or does not belong to the model.
        ModelError: The model cannot be loaded.
    """
    if mode == "bm25":
        return Bm25Finder(index, bm25, threads)
    searcher = LuceneHypencoderSearcher(
        index,
        model,
        device=device,
        dtype=dtype,
        max_length=max_length,
        batch_size=batch_size,
        mode=mode,
    )
    try:
        _ = searcher.encoder
    except BaseException:
        searcher.close()
        raise
    return QNetFinder(searcher, threads)


def _found(docids: Sequence[str], hits: Hits) -> dict[str, float]:
    wanted = set(docids)
    return {hit.docid: hit.score for hit in hits if hit.docid in wanted}
