"""Hard negatives: documents that a searcher ranks high for a query and that are not relevant."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from hypserini import jvm
from hypserini.errors import TrainingError
from hypserini.index.stored_text import StoredTexts
from hypserini.search.ranking import Hit, Hits
from hypserini.train.data.examples import WholeExample
from hypserini.train.mine.finders import Finder
from hypserini.train.mine.tasks import Task

TOO_FEW = ("keep", "drop", "random")
RANDOM_TYPE = "random_negative"
AT_ONCE = 128
"""Queries whose hits are held at once."""

RANDOM_TRIES = 1000
"""Documents looked at, at most, to fill up one example; only a small index needs many."""


@dataclass(frozen=True, slots=True)
class MiningOptions:
    """What is drawn.

    Attributes:
        negatives: Negatives for each example.
        depth: Hits of a query, among which they are drawn.
        skip_top: So many of the best hits are left out: often relevant, but not judged.
        margin: Leave out hits that score above the positive's score less this.
        max_score_ratio: Leave out hits that score above this share of the positive's score.
        too_few: Of an example with too few left: `keep` it with fewer, `drop` it, or fill it up
            with documents drawn from the whole index (`random`).
        remove_query: The document whose id is the query's is no negative.
        keep_scores: Write the searcher's score of each, as `searcher_score`.
        seed: Of the drawing; with an example's position in the input it decides alone.
    """

    negatives: int = 8
    depth: int = 100
    skip_top: int = 0
    margin: float | None = None
    max_score_ratio: float | None = None
    too_few: str = "keep"
    remove_query: bool = False
    keep_scores: bool = False
    seed: int = 0


@dataclass(slots=True)
class Counts:
    """What became of the examples.

    Attributes:
        examples: Examples written.
        negatives: Negatives added to them, those drawn at random included.
        random: Those.
        too_few: Examples for which the hits did not suffice.
        dropped: Of these, examples not written.
        absent: Positives that the index does not hold under their id, or that have none.
        unfiltered: Examples whose positives have no score to compare hits with.
    """

    examples: int = 0
    negatives: int = 0
    random: int = 0
    too_few: int = 0
    dropped: int = 0
    absent: int = 0
    unfiltered: int = 0


class Miner:
    """Adds hard negatives to examples.

    No negative has the id or, but for white space and case, the text of an item of the example, of
    another relevant document of its query, or of another negative. With several positives, hits
    are compared with the one that scores best; of a positive that BM25 did not find at `depth` it
    is known that all hits score above it.

    Args:
        finder: Finds the candidates.
        options: What is drawn of them.
        at_once: Queries searched and held together; it changes nothing in what is drawn.
    """

    def __init__(
        self, finder: Finder, options: MiningOptions | None = None, *, at_once: int = AT_ONCE
    ) -> None:
        self.counts = Counts()
        self._finder = finder
        self._options = options or MiningOptions()
        self._at_once = at_once
        self._texts = StoredTexts(finder.index)

    def mine(self, tasks: Iterable[Task]) -> Iterator[WholeExample | None]:
        """Hand out each task's example with its negatives, or None where it is dropped.

        Raises:
            TrainingError: `max_score_ratio` meets a positive with a score of 0 or less.
            IndexingError: The index stores no texts.
        """
        stream = iter(tasks)
        position = 0
        while batch := list(islice(stream, self._at_once)):
            queries = list(dict.fromkeys(task.query for task in batch))
            found = self._finder.find(queries, self._options.depth)
            by_query = dict(zip(queries, found, strict=True))
            hits = [by_query[task.query] for task in batch]
            for task, ranking, limit in zip(batch, hits, self._limits(batch, hits), strict=True):
                rng = random.Random(f"{self._options.seed} {position}")
                position += 1
                yield self._finish(task, self._draw(task, ranking, limit, rng))

    def _finish(self, task: Task, negatives: list[dict[str, Any]]) -> WholeExample | None:
        counts = self.counts
        drawn = sum(item["type"] == RANDOM_TYPE for item in negatives)
        if len(negatives) - drawn < self._options.negatives:
            counts.too_few += 1
            if self._options.too_few == "drop":
                counts.dropped += 1
                return None
        counts.examples += 1
        counts.negatives += len(negatives)
        counts.random += drawn
        return {**task.example, "items": [*task.example["items"], *negatives]}

    def _draw(
        self, task: Task, hits: Hits, limit: float | None, rng: random.Random
    ) -> list[dict[str, Any]]:
        options = self._options
        known = [*task.example["items"], *task.others]
        never = {str(item["id"]) for item in known if item.get("id") is not None}
        if options.remove_query:
            never.add(str(task.example["query"].get("id")))
        pool = {
            hit.docid: hit
            for hit in hits[options.skip_top :]
            if hit.docid not in never and (limit is None or hit.score <= limit)
        }
        order = sorted(pool)  # not by score: which of near ties came first decides on nothing
        rng.shuffle(order)
        taken = _Taken(known)
        negatives = [
            self._item(pool[docid], text)
            for docid, text in islice(self._fresh(order, taken), options.negatives)
        ]
        missing = options.negatives - len(negatives)
        if missing and options.too_few == "random":
            never.update(hit.docid for hit in hits)
            negatives += [
                {"id": docid, "content": text, "type": RANDOM_TYPE}
                for docid, text in islice(self._fresh(self._any(rng, never), taken), missing)
            ]
        return negatives

    def _fresh(self, docids: Iterable[str], taken: _Taken) -> Iterator[tuple[str, str]]:
        """Those documents whose texts were not taken before, with their texts."""
        stream = iter(docids)
        while some := list(islice(stream, self._options.negatives)):
            for docid, text in zip(some, self._texts.texts(some), strict=True):
                if taken.add(text or ""):
                    yield docid, text or ""

    def _item(self, hit: Hit, text: str) -> dict[str, Any]:
        item = {"id": hit.docid, "content": text, "type": self._finder.type}
        return item | {"searcher_score": hit.score} if self._options.keep_scores else item

    def _any(self, rng: random.Random, never: set[str]) -> Iterator[str]:
        """Different docids of the index that are not among `never`, until too few are met."""
        java = self._finder.index.java
        documents = java.maxDoc()
        seen = set(never)
        for _ in range(RANDOM_TRIES if documents else 0):
            number = rng.randrange(documents)
            drawn = java.docids(number, number + 1).tostring()  # none if it was deleted
            for docid in jvm.unpack(drawn):
                if docid not in seen:
                    seen.add(docid)
                    yield docid

    def _limits(self, batch: Sequence[Task], hits: Sequence[Hits]) -> list[float | None]:
        """The score that a hit may have at most, for each task; None: any."""
        held = self._held(batch)
        options = self._options
        if options.margin is None and options.max_score_ratio is None:
            return [None] * len(batch)
        scores = self._finder.scores([task.query for task in batch], held, hits)
        limits: list[float | None] = []
        for task, ranking, docids, known in zip(batch, hits, held, scores, strict=True):
            score = max(known.values()) if known else None
            if score is None and docids:
                score = float("-inf")
            if score is None:
                score = self._score_by_text(task, ranking)
            self.counts.unfiltered += score is None
            limits.append(None if score is None else self._limit(score, task.where))
        return limits

    def _held(self, batch: Sequence[Task]) -> list[list[str]]:
        """The docids of the positives of each task that the index holds."""
        ids = [
            [str(item["id"]) for item in task.positives if item.get("id") is not None]
            for task in batch
        ]
        there = iter(self._finder.index.holds(list(chain.from_iterable(ids))))
        held = [[docid for docid in some if next(there)] for some in ids]
        self.counts.absent += sum(len(task.positives) for task in batch) - sum(map(len, held))
        return held

    def _score_by_text(self, task: Task, hits: Hits) -> float | None:
        wanted = {plain(item["content"]) for item in task.positives}
        texts = self._texts.texts([hit.docid for hit in hits])
        for hit, text in zip(hits, texts, strict=True):
            if plain(text or "") in wanted:
                return hit.score
        return None

    def _limit(self, score: float, where: str) -> float:
        margin, ratio = self._options.margin, self._options.max_score_ratio
        limits = []
        if margin is not None:
            limits.append(score - margin)
        if ratio is not None:
            if float("-inf") < score <= 0:
                raise TrainingError(
                    f"{where}: the positive scores {score:.4g}, and --max-score-ratio takes a share"
                    " of scores above 0: give --margin instead."
                )
            limits.append(score * ratio)
        return min(limits)


class _Taken:
    """The texts that no further negative may have."""

    def __init__(self, items: Iterable[Mapping[str, Any]]) -> None:
        self._texts = {plain(item["content"]) for item in items if "content" in item}

    def add(self, text: str) -> bool:
        """Take a text; False if it is empty or was taken before."""
        key = plain(text)
        if not key or key in self._texts:
            return False
        self._texts.add(key)
        return True


def plain(text: str) -> str:
    """The text without regard to white space and case."""
    return " ".join(text.split()).casefold()
