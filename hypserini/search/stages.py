"""What stands before and after the q-net in one command: first stages, hybrids, passages."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hypserini import cli
from hypserini.errors import HypseriniError

if TYPE_CHECKING:
    from hypserini.search.bm25 import Bm25
    from hypserini.search.filters import Filter
    from hypserini.search.ranking import Hit
    from hypserini.search.topics import Topics

logger = logging.getLogger(__name__)

FUSED_TOGETHER = 64
"""Topics that are fused in one go: a table of them costs little more than one of one topic."""


def add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of reranking, BM25, hybrids and passages, named as in Pyserini."""
    group = parser.add_argument_group("reranking (--mode rerank)")
    group.add_argument("--rerank-run", metavar="FILE", help="rerank this run, in any format")
    group.add_argument(
        "--first-stage", choices=["bm25"], help="rerank what BM25 finds in the same index"
    )
    group.add_argument(
        "--rerank-depth", type=cli.positive_int, default=1000, help="of each topic (default: 1000)"
    )
    group.add_argument(
        "--drop-missing",
        action="store_true",
        help="drop documents that the index does not hold; otherwise they come last",
    )
    group.add_argument(
        "--adaptive",
        action="store_true",
        help="score graph neighbours of the best so far, too, in turn with the ranking",
    )
    group.add_argument(
        "--budget",
        type=cli.positive_int,
        help="documents scored a topic under --adaptive (default: as many as are given)",
    )
    group = parser.add_argument_group("BM25, of --first-stage and --hybrid")
    group.add_argument("--k1", type=float, help="(default: 0.9, or the collection's in Pyserini)")
    group.add_argument("--b", type=float, help="(default: 0.4, or the collection's in Pyserini)")
    group.add_argument("--rm3", action="store_true", help="expand the topics by relevance feedback")
    group = parser.add_argument_group("hybrid")
    group.add_argument(
        "--hybrid",
        choices=["rrf", "interpolate", "average", "normalize"],
        help="fuse the ranking with BM25's over the same index, as `python -m pyserini.fusion`",
    )
    group.add_argument(
        "--alpha", type=float, default=0.5, help="BM25's weight in --hybrid interpolate (0.5)"
    )
    group.add_argument(
        "--normalization",
        action="store_true",
        help="bring the scores to 0..1 before they are fused",
    )
    group.add_argument(
        "--rrf-k", "--rrf.k", type=cli.positive_int, default=60, help="of --hybrid rrf (60)"
    )
    group = parser.add_argument_group("passages")
    group.add_argument(
        "--max-passage", action="store_true", help="rank documents by their best passage"
    )
    group.add_argument(
        "--max-passage-hits", type=cli.positive_int, default=100, help="documents a topic (100)"
    )
    group.add_argument(
        "--max-passage-delimiter",
        default="#",
        metavar="TEXT",
        help="between the document's id and the passage's (#)",
    )


def check_stages(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other, before anything is loaded.

    Raises:
        HypseriniError: They do; the message says which to give.
    """
    if args.rerank_run or args.first_stage:
        if args.rerank_run and args.first_stage:
            raise HypseriniError(
                "--rerank-run and --first-stage exclude each other: give one of them."
            )
        if args.mode == "auto":
            args.mode = "rerank"  # the default: candidates say what is meant
        if args.mode != "rerank":
            flag = "--rerank-run" if args.rerank_run else "--first-stage"
            raise HypseriniError(f"{flag} belongs to --mode rerank, not to --mode {args.mode}.")
    elif args.mode == "rerank":
        raise HypseriniError(
            "--mode rerank needs documents to rerank: give --rerank-run FILE or --first-stage bm25."
        )
    if (args.adaptive or args.budget) and args.mode != "rerank":
        raise HypseriniError("--adaptive and --budget belong to --mode rerank.")
    if args.budget and not args.adaptive:
        raise HypseriniError("--budget belongs to --adaptive; --rerank-depth limits what is given.")
    if args.interactive and args.mode == "rerank":
        raise HypseriniError("--interactive shows BM25 beside the q-nets: leave reranking out.")
    if args.rerank_run and args.query is not None:
        raise HypseriniError(
            "--rerank-run belongs to --topics: rerank a query's --first-stage bm25."
        )
    if (args.k1 is None) != (args.b is None):
        raise HypseriniError("BM25 takes both --k1 and --b, or neither.")


class Stages:
    """The stages around the q-net that the flags ask for.

    Args:
        args: The parsed flags.
        index: The index that is searched.
        topics: The topics; those that a run to rerank lacks, or has beside them, are reported.

    Raises:
        RunError: The run to rerank is missing or malformed.
        IndexingError: BM25 cannot search the index.
    """

    def __init__(self, args: argparse.Namespace, index: Path, topics: Topics) -> None:
        self._args = args
        self._topics = topics
        self._texts = dict(topics.items)
        self._missing = 0
        self._incomplete = 0
        self._empty = 0
        self._bm25: Bm25 | None = None
        if args.first_stage or args.hybrid:
            from hypserini.search.bm25 import Bm25, Bm25Options

            self._bm25 = Bm25(index, Bm25Options(args.k1, args.b, args.rm3))
        self.search_options = self._search_options()

    def _search_options(self) -> dict[str, Any]:
        """The mode and options of `stream_search`, where it reranks."""
        args = self._args
        if args.mode != "rerank":
            return {}
        from hypserini.search.first_stage import Bm25Stage, FirstStage, RunFile
        from hypserini.search.rerank import RerankOptions

        stage: FirstStage
        if args.rerank_run:
            stage = RunFile(args.rerank_run, self._topics.qids, args.rerank_depth)
        else:
            assert self._bm25 is not None
            stage = Bm25Stage(self._bm25, args.rerank_depth, self._texts)
        return {
            "mode": "rerank",
            "options": RerankOptions(stage, args.drop_missing, args.adaptive, args.budget),
        }

    def finish(
        self, rankings: Iterable[tuple[str, Sequence[Hit]]], filter: Filter | None = None
    ) -> Iterator[tuple[str, Sequence[Hit]]]:
        """Remove queries, fuse with BM25, make passages documents; the order of topics stays.

        The rankings were filtered already; `filter` is for BM25's.
        """
        ready = self._cut(rankings)
        if self._args.hybrid:
            ready = self._fused(ready, filter)
        for qid, ranking in ready:
            self._empty += not ranking
            if self._args.max_passage:
                from hypserini.search.passages import MaxPassage

                collapse = MaxPassage(self._args.max_passage_hits, self._args.max_passage_delimiter)
                ranking = collapse(ranking)
            yield qid, ranking

    def _cut(
        self, rankings: Iterable[tuple[str, Sequence[Hit]]]
    ) -> Iterator[tuple[str, Sequence[Hit]]]:
        for qid, ranking in rankings:
            missing = len(getattr(ranking, "missing", ()))
            self._missing += missing
            self._incomplete += bool(missing)
            yield qid, self._without_query(qid, ranking)

    def _without_query(self, qid: str, ranking: Sequence[Hit]) -> Sequence[Hit]:
        if not self._args.remove_query:
            return ranking
        return [hit for hit in ranking if hit.docid != qid][: self._args.hits or 1000]

    def _fused(
        self, rankings: Iterable[tuple[str, Sequence[Hit]]], filter: Filter | None
    ) -> Iterator[tuple[str, Sequence[Hit]]]:
        from hypserini.search.hybrid import HybridOptions, fuse

        args, bm25 = self._args, self._bm25
        assert bm25 is not None
        options = HybridOptions(args.hybrid, args.alpha, args.normalization, args.rrf_k)
        k = args.hits or 1000
        stream = iter(rankings)
        while group := list(islice(stream, FUSED_TOGETHER)):
            qids = [qid for qid, _ in group]
            texts = [self._texts[qid] for qid in qids]
            found = bm25.batch_search(texts, qids, k + args.remove_query, args.threads, filter)
            first = [self._without_query(qid, found[qid]) for qid in qids]
            yield from zip(
                qids, fuse(first, [ranking for _, ranking in group], k, options), strict=True
            )

    def report(self) -> None:
        """Log what was left out or has nothing."""
        if self._missing:
            logger.warning(
                "%s documents to rerank of %s topics are not in the index, or without a vector:"
                " they %s",
                *(f"{self._missing:,}", f"{self._incomplete:,}"),
                "were dropped" if self._args.drop_missing else "come last",
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
