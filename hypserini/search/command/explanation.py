"""What the search command tells of itself: its mode, its cost, and what it missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from hypserini.encode.saved import SavedQNets
from hypserini.formats.topics import Topics
from hypserini.modeling import QNet
from hypserini.search.calibrate import SAMPLE, calibrate
from hypserini.search.command.plan import SearchPlan
from hypserini.search.costs import CostReport, loss_lines, losses, spread
from hypserini.search.filters import Filter
from hypserini.search.ranking import Hits
from hypserini.search.searcher import LuceneHypencoderSearcher


class Explanation:
    """Watches a search and tells what its plan asks for.

    Args:
        plan: The plan.
        searcher: What searches.
        topics: All topics of the search.
        filter: The filter of the search.
    """

    def __init__(
        self,
        plan: SearchPlan,
        searcher: LuceneHypencoderSearcher,
        topics: Topics,
        filter: Filter | None,
    ) -> None:
        self._plan = plan
        self._searcher = searcher
        self._topics = topics
        self._filter = filter
        self._costs = CostReport()
        checked = spread(len(topics), plan.telling.check or 0)
        self._checked = {topics.qids[i] for i in checked}
        self._found: dict[str, Hits] = {}

    @cached_property
    def tag(self) -> str:
        """The run's tag, settled when it is first asked for.

        As the plan says; else by the mode that the first topic was searched in, or, before there
        is one, by the plan's.
        """
        return self._plan.output.tag or f"hypserini-{self._costs.first_mode or self._plan.mode}"

    def calibrate(self) -> Iterator[str]:
        """Calibrate if that is asked for; yields what to print."""
        target = self._plan.telling.target_overlap
        if not target:
            return
        qids = [self._topics.qids[i] for i in spread(len(self._topics), SAMPLE)]
        queries = self._queries(qids)
        chosen, kept = calibrate(
            self._searcher, queries, qids, self._plan.depth, target, self._filter
        )
        if chosen is None:
            yield (
                f"not calibrated: tangent search for {self._plan.depth} hits would score all"
                " documents, and is exact"
            )
            return
        where = f"kept with the index {self._searcher.index.path}" if kept else "for this search"
        yield (
            f"calibrated for {chosen.k} hits: --fetch {chosen.fetch} --rounds {chosen.rounds} "
            f"--ef-search {chosen.ef}, overlap {chosen.overlap:.4f} with "
            f"{chosen.evaluations:,.0f} documents scored a topic, {chosen.topics} topics; {where}"
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
        if self._plan.telling.cost:
            yield from self._costs.lines()
        if self._found:
            qids = list(self._found)
            depth = self._plan.depth
            exact = self._searcher.batch_search(
                self._queries(qids), qids, depth, mode="exhaustive", filter=self._filter
            )
            yield from loss_lines(losses(self._found, exact, depth), len(qids))

    def _queries(self, qids: Sequence[str]) -> Sequence[str | QNet]:
        if self._plan.place.encoded_queries:
            q_nets = SavedQNets(self._plan.place.encoded_queries).load(qids)
            return [q_nets[i] for i in range(len(qids))]
        texts = dict(self._topics.items)
        return [texts[qid] for qid in qids]
