"""Examples of docids from topics, judgements and a run: positives are judged, negatives ranked."""

from __future__ import annotations

import logging
import random
from array import array

from hypserini.errors import TrainingError
from hypserini.formats.qrels import load_qrels
from hypserini.formats.runs import Run, read_run
from hypserini.formats.topics import load_topics
from hypserini.formats.values import Malformed
from hypserini.train.data.examples import Example, Item
from hypserini.train.data.selection import Selection

logger = logging.getLogger(__name__)


class JudgedRun:
    """One example for each relevant document of each topic; the run's other documents follow it.

    An item's score is the run's, so that a run can be the teacher. What the run does not score is
    then left out, and counted. Held in memory.

    Args:
        qrels: judgements; above 0 is relevant.
        queries: the topics.
        run: what negatives are drawn from.
        selection: what will be drawn, which every example must have.

    Raises:
        TrainingError: no topic has what is needed, or the scores are asked of a run of ranks.
        RunError, TopicsError: a file is malformed.
    """

    def __init__(self, qrels: str, queries: str, run: str, selection: Selection) -> None:
        judgements = load_qrels(qrels).judgements
        ranked: Run = read_run(run)
        if selection.scores and _are_ranks(ranked):
            raise TrainingError(
                f"the run {run} has ranks and no scores, which the loss learns from: write it in "
                "the TREC format."
            )
        self._queries: list[str] = []
        self._items: list[tuple[Item, ...]] = []
        self._owners, self._positives = array("q"), array("q")
        unscored = 0
        for qid, text in load_topics(queries):
            grades, scores = judgements.get(qid, {}), dict(ranked.get(qid, []))
            relevant = [docid for docid, grade in grades.items() if grade > 0]
            if not relevant or not scores:
                continue
            negatives = [docid for docid in scores if grades.get(docid, 0) <= 0]
            usable = [docid for docid in relevant if docid in scores or not selection.scores]
            unscored += len(relevant) - len(usable)
            items = [Item("", scores.get(d), "positive", d) for d in usable]
            items += [Item("", scores[d], "negative", d) for d in negatives]
            try:
                if usable:
                    selection.check([items[0], *items[len(usable) :]])
            except Malformed as error:
                raise TrainingError(f"topic {qid} of the run {run}: {error}") from error
            self._owners.extend([len(self._queries)] * len(usable))
            self._positives.extend(range(len(usable)))
            self._queries.append(text)
            self._items.append(tuple(items))
        if unscored:
            logger.warning("%s relevant documents are not in %s.", f"{unscored:,}", run)
        if not len(self):
            raise TrainingError(
                f"no topic of {queries} has both a relevant document in {qrels} and a ranking in "
                f"{run}: check that their ids are the same."
            )

    def __len__(self) -> int:
        return len(self._owners)

    def read(self, position: int, rng: random.Random) -> Example:
        """The example of one relevant document."""
        owner = self._owners[position]
        items = self._items[owner]
        positive = items[self._positives[position]]
        negatives = [item for item in items if item.type == "negative"]
        return Example(self._queries[owner], (positive, *negatives))

    def docids(self) -> set[str]:
        """All documents that examples name."""
        return {item.docid for items in self._items for item in items if item.docid is not None}


def _are_ranks(run: Run) -> bool:
    """Whether all scores are those that `read_run` gives to ranks."""
    return all(
        score == 1 / rank for hits in run.values() for rank, (_, score) in enumerate(hits, start=1)
    )
