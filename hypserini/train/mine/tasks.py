"""What is given hard negatives: training examples, or topics with their relevant documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini.errors import TrainingError
from hypserini.train.data.examples import WholeExample, read_examples

if TYPE_CHECKING:
    from hypserini.index.stored_text import StoredTexts

POSITIVE = "positive"
NEGATIVE = "negative"


@dataclass(frozen=True, slots=True)
class Task:
    """An example that is to be given negatives.

    Attributes:
        query: The query's text.
        example: The example as it will be written, without the new negatives.
        positives: Those of its items that are relevant.
        others: Relevant documents that are no items of it, each with id and content or either.
        where: The file and the line it comes from, for messages.
    """

    query: str
    example: WholeExample
    positives: Sequence[Mapping[str, Any]]
    others: Sequence[Mapping[str, Any]]
    where: str


class ExampleTasks:
    """The examples of a file of training data; it is read through once when this is made.

    Args:
        path: The JSON lines.
        positive_filter: `first`, the first item is the positive, or `type`, those of a type are.
        positive_type: That type.
        replace: Leave out the negatives that are there.

    Raises:
        TrainingError: The file is missing or malformed, or an example has no positive.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        positive_filter: str = "first",
        positive_type: str = POSITIVE,
        replace: bool = False,
    ) -> None:
        self._path = path
        self._positive_filter = positive_filter
        self._positive_type = positive_type
        self._replace = replace
        self._length = sum(1 for _ in self)

    def __len__(self) -> int:
        """The number of examples."""
        return self._length

    def __iter__(self) -> Iterator[Task]:
        for line, example in read_examples(self._path):
            where = f"{self._path}, line {line}"
            items = [dict(item) for item in example["items"]]
            typed = [item for item in items if item.get("type") == self._positive_type]
            positives = items[:1] if self._positive_filter == "first" else typed
            if not positives:
                raise TrainingError(
                    f'{where}: no item has the type "{self._positive_type}": name that of the '
                    "positives with --positive-type, or give --positive-filter-type first."
                )
            # Some with a type and some without would leave training in doubt.
            for item in positives:
                item["type"] = item.get("type") or self._positive_type
            for item in items:
                item["type"] = item.get("type") or NEGATIVE
            written = {**example, "items": positives if self._replace else items}
            yield Task(example["query"]["content"], written, positives, typed, where)


class TopicTasks:
    """Topics with their judgements: an example for each topic and each of its relevant documents.

    One for each, so that no relevant document stands among the negatives of another, whichever
    way training tells them apart. `absent` counts those that the index lacks, `idle` the topics
    that were left without any; both once the tasks were handed out.

    Args:
        topics: Pairs of topic id and text.
        judgements: Topic id -> docid -> grade.
        texts: The documents.
        min_grade: What counts as a positive; documents of lower grades above 0 are no negatives
            either.
        source: The name of the topics, for messages.
    """

    def __init__(
        self,
        topics: Sequence[tuple[str, str]],
        judgements: Mapping[str, Mapping[str, int]],
        texts: StoredTexts,
        *,
        min_grade: int = 1,
        source: str = "topics",
    ) -> None:
        self._topics = topics
        self._judgements = judgements
        self._texts = texts
        self._min_grade = max(1, min_grade)
        self._source = source
        self.absent = 0
        self.idle = 0

    def __len__(self) -> int:
        """The number of tasks, were all relevant documents in the index."""
        return sum(len(self._positives(qid)) for qid, _ in self._topics)

    def __iter__(self) -> Iterator[Task]:
        self.absent = self.idle = 0
        for qid, query in self._topics:
            grades = self._judgements.get(qid, {})
            relevant = [docid for docid, grade in grades.items() if grade > 0]
            found = dict(zip(relevant, self._texts.texts(relevant), strict=True))
            others = [
                {"id": docid} if text is None else {"id": docid, "content": text}
                for docid, text in found.items()
            ]
            wanted = self._positives(qid)
            present = [docid for docid in wanted if found[docid] is not None]
            self.absent += len(wanted) - len(present)
            self.idle += not present
            for docid in present:
                positive = {"id": docid, "content": found[docid], "type": POSITIVE}
                example = {"query": {"id": qid, "content": query}, "items": [positive]}
                where = f"{self._source}, topic {qid}"
                yield Task(query, example, [positive], others, where)

    def _positives(self, qid: str) -> list[str]:
        grades = self._judgements.get(qid, {})
        return [docid for docid, grade in grades.items() if grade >= self._min_grade]
