"""What the search command tells of itself: its mode, its cost, and what it missed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hypserini.errors import HypseriniError

if TYPE_CHECKING:
    from hypserini.modeling import QNet
    from hypserini.search.ranking import Hits
    from hypserini.search.searcher import LuceneHypencoderSearcher
    from hypserini.search.topics import Topics


def check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that ask for what their mode cannot tell.

    Raises:
        HypseriniError: Reranking is to be checked or calibrated.
    """
    if args.mode == "rerank" and (args.check or args.target_overlap):
        flag = "--check" if args.check else "--target-overlap"
        raise HypseriniError(f"{flag} compares with exhaustive search, which reranking is not.")
    if args.mode == "graph" and args.target_overlap:
        raise HypseriniError("--target-overlap calibrates tangent search: drop --mode graph.")


class Explanation:
    """Watches a search and tells what the flags ask for.

    Args:
        args: The parsed flags.
        searcher: What searches.
        topics: All topics of the search.
        k: Hits a topic.
    """

    def __init__(
        self, args: argparse.Namespace, searcher: LuceneHypencoderSearcher, topics: Topics, k: int
    ) -> None:
        from hypserini.search.calibration import spread
        from hypserini.search.costs import CostReport

        self._args = args
        self._searcher = searcher
        self._topics = topics
        self._k = k
        self._costs = CostReport()
        self._checked = {topics.qids[i] for i in spread(len(topics), args.check or 0)}
        self._found: dict[str, Hits] = {}

    @property
    def tag(self) -> str:
        """The run's tag: as the flags say, or by the mode that was chosen."""
        mode = self._costs.mode
        return self._args.tag or (f"hypserini-{mode}" if mode else "hypserini")

    def calibrate(self) -> Iterator[str]:
        """Calibrate if that is asked for; yields what to print."""
        if not self._args.target_overlap:
            return
        from hypserini.search.calibration import SAMPLE, calibrate, spread

        qids = [self._topics.qids[i] for i in spread(len(self._topics), SAMPLE)]
        chosen = calibrate(
            self._searcher,
            self._queries(qids),
            qids,
            self._k,
            self._args.target_overlap,
            self._args.filter,
        )
        yield (
            f"calibrated for {chosen.k} hits: --fetch {chosen.fetch} --rounds {chosen.rounds} "
            f"--ef-search {chosen.ef}, overlap {chosen.overlap:.4f} with "
            f"{chosen.evaluations:,.0f} documents scored a topic, {chosen.topics} topics; "
            f"kept with the index {self._searcher.index.path}"
        )

    def watch(self, rankings: Iterator[tuple[str, Hits]]) -> Iterator[tuple[str, Hits]]:
        """Hand rankings through and note what they cost."""
        for qid, ranking in rankings:
            self._costs.add(ranking.cost)
            if qid in self._checked:
                self._found[qid] = ranking
            yield qid, ranking

    def lines(self) -> Iterator[str]:
        """What to print when all topics are searched."""
        if self._args.explain_cost:
            yield from self._costs.lines()
        if self._found:
            from hypserini.search.costs import loss_lines, losses

            qids = list(self._found)
            exact = self._searcher.batch_search(
                self._queries(qids), qids, self._k, mode="exhaustive", filter=self._args.filter
            )
            yield from loss_lines(losses(self._found, exact, self._k), len(qids))

    def _queries(self, qids: Sequence[str]) -> Sequence[str | QNet]:
        if self._args.encoded_queries:
            from hypserini.encode.saved import SavedQNets

            q_nets = SavedQNets(self._args.encoded_queries).load(qids)
            return [q_nets[i] for i in range(len(qids))]
        texts = dict(self._topics.items)
        return [texts[qid] for qid in qids]
