"""What two runs differ by: the topics by how much, and both rankings of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypserini.evaluate.measures import Measure, Scores, mean, ranked
from hypserini.evaluate.report import Report
from hypserini.evaluate.significance import Comparison
from hypserini.formats.runs import Run

Texts = Callable[[Sequence[str]], Sequence[str | None]]
"""What gives the texts of docids; None for one that is not there."""


@dataclass(frozen=True, slots=True)
class Row:
    """A hit of one run.

    Attributes:
        rank: From 1.
        grade: How it was judged; None: it was not.
        elsewhere: Its rank in the other run; None: it is not in it.
        text: Its text; None where there is none.
    """

    rank: int
    docid: str
    score: float
    grade: int | None
    elsewhere: int | None
    text: str | None = None

    @property
    def moved(self) -> int | None:
        """By how many ranks it stands higher than in the other run."""
        return None if self.elsewhere is None else self.elsewhere - self.rank


@dataclass(frozen=True, slots=True)
class TopicPair:
    """A topic in both runs.

    Attributes:
        values: Of each run, in the first measure.
        rows: The first hits of each run.
        alone: How many relevant documents each run found, to any depth, and the other did not.
    """

    qid: str
    query: str
    values: tuple[float, float]
    rows: tuple[list[Row], list[Row]]
    alone: tuple[int, int]

    @property
    def difference(self) -> float:
        """What the second run is better by."""
        return self.values[1] - self.values[0]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs over the same judgements.

    Attributes:
        names: Of the runs.
        measures: Each with the means of both runs and the second's difference from the first.
        topics: Those that differ most in the first measure first, in either direction.
    """

    names: tuple[str, str]
    qrels: str
    measures: list[tuple[Measure, float, float, Comparison]]
    topics: list[TopicPair] = field(default_factory=list)

    @property
    def measure(self) -> Measure:
        """The first measure, by which topics are ordered."""
        return self.measures[0][0]


def pair_up(
    report: Report,
    runs: Sequence[Run],
    *,
    depth: int = 10,
    queries: Mapping[str, str] | None = None,
    texts: Texts | None = None,
) -> Pair:
    """Put two runs of a report side by side.

    Args:
        report: Of the two.
        runs: The same runs.
        depth: Hits shown of each topic and run.
        queries: The texts of topics, where they are known.
        texts: What gives documents' texts.
    """
    first, second = report.scores
    measures = [
        (
            measure,
            mean(report.scores[first][measure]),
            mean(report.scores[second][measure]),
            report.comparisons[second][measure],
        )
        for measure in report.measures
    ]
    values: tuple[Scores, Scores] = (report.scores[first], report.scores[second])
    topics = [
        _topic(qid, (queries or {}).get(qid, ""), report, values, runs, depth, texts)
        for qid in report.qrels.judgements
    ]
    topics.sort(key=lambda topic: (-abs(topic.difference), topic.qid))
    names = (Path(first).name, Path(second).name)
    if names[0] == names[1]:
        names = (first, second)
    return Pair(names, report.qrels.name, measures, topics)


def _topic(
    qid: str,
    query: str,
    report: Report,
    values: tuple[Scores, Scores],
    runs: Sequence[Run],
    depth: int,
    texts: Texts | None,
) -> TopicPair:
    grades = report.qrels.judgements[qid]
    hits = [ranked(dict(run.get(qid, []))) for run in runs]
    ranks = [{docid: rank for rank, (docid, _) in enumerate(one, 1)} for one in hits]
    shown = [one[:depth] for one in hits]
    docids = list(dict.fromkeys(docid for one in shown for docid, _ in one))
    found = dict(zip(docids, texts(docids), strict=True)) if texts and docids else {}
    rows = [
        [
            Row(rank, docid, score, grades.get(docid), other.get(docid), found.get(docid))
            for rank, (docid, score) in enumerate(one, 1)
        ]
        for one, other in zip(shown, reversed(ranks), strict=True)
    ]
    relevant = {docid for docid, grade in grades.items() if grade > 0}
    alone = [len(relevant & (own.keys() - other.keys())) for own, other in (ranks, ranks[::-1])]
    measure = report.measures[0]
    return TopicPair(
        qid,
        query,
        (values[0][measure][qid], values[1][measure][qid]),
        (rows[0], rows[1]),
        (alone[0], alone[1]),
    )
