"""Where the documents to rerank come from: a run, given rankings, or BM25 over the same index."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hypserini.errors import RunError
from hypserini.formats.runs import Hit, read_run
from hypserini.search.bm25 import Bm25
from hypserini.search.filters import Filter
from hypserini.search.scorer import QueryBatch

logger = logging.getLogger(__name__)

AnyHit = Hit | str | tuple[str, float]
"""A hit of Pyserini's or ours, a docid, or a docid and its score."""

DEPTH = 1000
"""Documents reranked of each topic unless told otherwise."""


class FirstStage(Protocol):
    """Ranks documents for queries, best first, to be ranked again by the q-net."""

    def rankings(self, batch: QueryBatch, filter: Filter | None = None) -> list[list[str]]:
        """The docids for each query of a batch, all different, best first.

        A first stage that searches keeps to the filter; what is given may go beyond it.
        """


def docids_of(hits: Iterable[AnyHit]) -> list[str]:
    """The docids of Pyserini's hits, ours, pairs of docid and score, or docids; each once.

    A docid that occurs again is left out, and how many were is logged.
    """
    docids = [
        hit if isinstance(hit, str) else hit[0] if isinstance(hit, tuple) else hit.docid.strip()
        for hit in hits
    ]
    once = list(dict.fromkeys(docids))
    if len(once) < len(docids):
        logger.warning("%d docids to rerank occur again and count once", len(docids) - len(once))
    return once


class GivenRankings:
    """Rankings that are there already, by query id; a query without one has no documents."""

    def __init__(self, docids: Mapping[str, Sequence[str]]) -> None:
        self._docids = docids

    def rankings(self, batch: QueryBatch, filter: Filter | None = None) -> list[list[str]]:
        """The docids for each query of a batch, whatever the filter."""
        return [self.of(qid) for qid in batch.qids]

    def of(self, qid: str) -> list[str]:
        """The docids for one query."""
        return list(self._docids.get(qid, ()))


class RunFile(GivenRankings):
    """The rankings of a run file, to some depth.

    Topics that only the run or only the topics file has are counted and logged, with the first
    line of the run that is not needed.

    Args:
        path: A run in TREC's, MS MARCO's or our JSON format, also gzipped.
        qids: The ids of the topics to be searched.
        depth: Documents of a topic, the best by score.

    Raises:
        RunError: The run is missing, empty or malformed, or is about none of the topics.
    """

    def __init__(self, path: str | Path, qids: Sequence[str], depth: int = DEPTH) -> None:
        lines: dict[str, int] = {}
        run = read_run(path, lines)
        wanted = set(qids)
        unknown = [qid for qid in run if qid not in wanted]
        if len(unknown) == len(run):
            raise RunError(
                f"{path}, line {lines[unknown[0]]}: none of the run's "
                f"{len(run):,} topics (the first is {unknown[0]}) is among the topics to search: "
                "give the topics that the run was made for."
            )
        if unknown:
            logger.warning(
                "%s, line %d: topic %s is not among the topics; %s of the run's topics are not"
                " reranked",
                *(path, lines[unknown[0]], unknown[0], f"{len(unknown):,}"),
            )
        empty = [qid for qid in qids if qid not in run]
        if empty:
            logger.warning(
                "%s has no documents for %s topics, which stay empty; the first is %s",
                *(path, f"{len(empty):,}", empty[0]),
            )
        super().__init__(
            {qid: [docid for docid, _ in run[qid][:depth]] for qid in qids if qid in run}
        )


class Bm25Stage:
    """BM25 over the text of the same index.

    Args:
        bm25: The searcher.
        depth: Documents of a topic.
        texts: The queries' texts by id, where batches hold q-nets and no texts.
    """

    def __init__(
        self, bm25: Bm25, depth: int = DEPTH, texts: Mapping[str, str] | None = None
    ) -> None:
        self._bm25 = bm25
        self._depth = depth
        self._texts = texts or {}

    def rankings(self, batch: QueryBatch, filter: Filter | None = None) -> list[list[str]]:
        """The best documents for each query of a batch, of those that the filter lets through."""
        return [
            [hit.docid for hit in self._bm25.search(self._text(qid, text), self._depth, filter)]
            for qid, text in zip(batch.qids, batch.texts, strict=True)
        ]

    def _text(self, qid: str, text: str | None) -> str:
        text = text if text is not None else self._texts.get(qid)
        if text is None:
            raise ValueError(f"query {qid} was given as a q-net, and BM25 needs its text")
        return text
