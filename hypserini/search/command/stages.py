"""What stands before and after the q-net in one command: first stages, hybrids, passages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

from hypserini.formats.topics import Topics
from hypserini.search.bm25 import Bm25
from hypserini.search.command.plan import SearchPlan
from hypserini.search.filters import Filter
from hypserini.search.hybrid import fuse
from hypserini.search.modes.first_stage import Bm25Stage, FirstStage, RunFile
from hypserini.search.modes.rerank import RerankOptions
from hypserini.search.ranking import Hit

logger = logging.getLogger(__name__)

FUSED_TOGETHER = 64
"""Topics that are fused in one go: a table of them costs little more than one of one topic."""


class Stages:
    """The stages around the q-net that a plan asks for.

    Args:
        plan: The plan.
        index: The folders of the index that is searched.
        topics: The topics; those that a run to rerank lacks, or has beside them, are reported.

    Raises:
        RunError: The run to rerank is missing or malformed.
        IndexingError: BM25 cannot search the index.
    """

    def __init__(self, plan: SearchPlan, index: Sequence[Path], topics: Topics) -> None:
        self._plan = plan
        self._topics = topics
        self._texts = dict(topics.items)
        self._missing = 0
        self._incomplete = 0
        self._empty = 0
        self._bm25 = None if plan.around.bm25 is None else Bm25(index, plan.around.bm25)
        try:
            self.search_options = self._search_options()
        except BaseException:
            self.close()
            raise

    def _search_options(self) -> dict[str, Any]:
        """The mode and options of `stream_search`, where it reranks."""
        around = self._plan.around
        if self._plan.mode != "rerank":
            return {}
        stage: FirstStage
        if around.rerank_run:
            stage = RunFile(around.rerank_run, self._topics.qids, around.rerank_depth)
        else:
            assert self._bm25 is not None
            stage = Bm25Stage(self._bm25, around.rerank_depth, self._texts)
        return {
            "mode": "rerank",
            "options": RerankOptions(stage, around.drop_missing, around.adaptive, around.budget),
        }

    def finish(
        self, rankings: Iterable[tuple[str, Sequence[Hit]]], filter: Filter | None = None
    ) -> Iterator[tuple[str, Sequence[Hit]]]:
        """Remove queries, fuse with BM25, make passages documents; the order of topics stays.

        The rankings were filtered already; `filter` is for BM25's.
        """
        ready = self._cut(rankings)
        if self._plan.around.hybrid:
            ready = self._fused(ready, filter)
        collapse = self._plan.around.max_passage
        for qid, ranking in ready:
            self._empty += not ranking
            yield qid, collapse(ranking) if collapse else ranking

    def _cut(
        self, rankings: Iterable[tuple[str, Sequence[Hit]]]
    ) -> Iterator[tuple[str, Sequence[Hit]]]:
        for qid, ranking in rankings:
            missing = len(getattr(ranking, "missing", ()))
            self._missing += missing
            self._incomplete += bool(missing)
            yield qid, self._without_query(qid, ranking)

    def _without_query(self, qid: str, ranking: Sequence[Hit]) -> Sequence[Hit]:
        if not self._plan.remove_query:
            return ranking
        return [hit for hit in ranking if hit.docid != qid][: self._plan.hits]

    def _fused(
        self, rankings: Iterable[tuple[str, Sequence[Hit]]], filter: Filter | None
    ) -> Iterator[tuple[str, Sequence[Hit]]]:
        plan, bm25, options = self._plan, self._bm25, self._plan.around.hybrid
        assert bm25 is not None
        assert options is not None
        stream = iter(rankings)
        while group := list(islice(stream, FUSED_TOGETHER)):
            qids = [qid for qid, _ in group]
            texts = [self._texts[qid] for qid in qids]
            found = bm25.batch_search(texts, qids, plan.depth, plan.place.threads, filter)
            first = [self._without_query(qid, found[qid]) for qid in qids]
            second = [ranking for _, ranking in group]
            yield from zip(qids, fuse(first, second, plan.hits, options), strict=True)

    def report(self) -> None:
        """Log what was left out or has nothing."""
        if self._missing:
            logger.warning(
                "%s documents to rerank of %s topics are not in the index, or without a vector:"
                " they %s",
                *(f"{self._missing:,}", f"{self._incomplete:,}"),
                "were dropped" if self._plan.around.drop_missing else "come last",
            )
        if self._empty:
            logger.warning("%s topics have no hits", f"{self._empty:,}")

    def close(self) -> None:
        """Close BM25's index."""
        if self._bm25 is not None:
            self._bm25.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
