"""The judged topics of a served index: what the page offers, and how good a ranking is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypserini.errors import HypseriniError, shown
from hypserini.evaluate.measures import Measure, evaluate
from hypserini.formats.qrels import Qrels, load_qrels
from hypserini.formats.topics import load_topics

NDCG = Measure("nDCG", 10)
"""What the page shows beside a ranking."""
EVAL_METRICS = {"ndcg": "nDCG", "recall": "R", "map": "AP", "recip_rank": "RR"}
"""The metrics of Pyserini's `eval_hits`, and what we call them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Topics with judgements.

    Attributes:
        topics: The texts of those that are judged, by their ids, in the topics' order.
        qrels: The judgements.
    """

    topics: dict[str, str]
    qrels: Qrels

    @classmethod
    def load(cls, topics: str | Path, qrels: str | Path) -> Judged:
        """Read topics and judgements, each a file or a name.

        Raises:
            HypseriniError: One is missing or malformed, or no topic is judged.
        """
        judged, all_topics = load_qrels(qrels), load_topics(topics)
        texts = {qid: text for qid, text in all_topics.items if qid in judged.judgements}
        if not texts:
            raise HypseriniError(
                f"none of the {len(all_topics):,} topics of {topics} is judged in {qrels}: "
                "topics and qrels belong to different collections."
            )
        return cls(texts, judged)

    @property
    def name(self) -> str:
        """What the judgements are called; no folder of this machine."""
        return Path(self.qrels.name).name

    def grades(self, qid: str) -> dict[str, int]:
        """How documents were judged for a topic; empty for one that is not judged."""
        return self.qrels.judgements.get(qid, {})

    def value(self, qid: str, hits: Iterable[tuple[str, float]], measure: Measure = NDCG) -> float:
        """The measure of a ranking of the topic, as trec_eval computes it.

        Args:
            qid: A topic that is judged.
            hits: Docids with scores.
            measure: What to compute.
        """
        scores = evaluate({qid: self.grades(qid)}, {qid: dict(hits)}, [measure])
        return scores[measure][qid]

    def verdict(self, qid: str, hits: Sequence[tuple[str, float]]) -> dict[str, Any]:
        """What a search's answer says of its ranking: nDCG@10, and the grades of what it found."""
        grades = self.grades(qid)
        return {
            "qid": qid,
            str(NDCG): round(self.value(qid, hits), 4),
            "relevant": sum(grade > 0 for grade in grades.values()),
            "grades": {docid: grades[docid] for docid, _ in hits if docid in grades},
        }


def read_judged(
    names: Sequence[str], topics: Sequence[str], qrels: Sequence[str]
) -> dict[str, Judged]:
    """The judged topics of some indexes, from flags of the form `[INDEX=]FILE`.

    Args:
        names: Of the indexes; one needs not be named.
        topics: The values of `--topics`.
        qrels: Those of `--qrels`.

    Raises:
        HypseriniError: A value names no index, an index has one of the two alone, or a file is bad.
    """
    of_topics = _by_index("--topics", names, topics)
    of_qrels = _by_index("--qrels", names, qrels)
    if alone := of_topics.keys() ^ of_qrels.keys():
        name = min(alone)
        given, lacks = ("--topics", "--qrels") if name in of_topics else ("--qrels", "--topics")
        raise HypseriniError(f"{given} of the index {name} needs {lacks}, too.")
    return {name: Judged.load(of_topics[name], of_qrels[name]) for name in of_topics}


def _by_index(flag: str, names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not equals or name not in names:
            if len(names) > 1:
                raise HypseriniError(
                    f"{flag} {shown(value)} says not of which index: write {names[0]}=FILE, with "
                    f"one of {', '.join(names)}."
                )
            name, rest = names[0], value
        if name in found:
            raise HypseriniError(f"{flag} is given twice for the index {name}: give it once.")
        found[name] = rest
    return found
