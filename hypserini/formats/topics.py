"""Topics: queries with their ids, from a file or by the name that Pyserini knows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypserini.errors import TopicsError
from hypserini.formats import ir_datasets, names
from hypserini.formats.reading import is_file
from hypserini.formats.topic_formats import read_records, topic_of
from hypserini.formats.values import Malformed

MSMARCO_PASSAGE = "msmarco-v1-passage"
_MSMARCO_PASSAGE_NAMES = {
    "dl19-passage",
    "dl20",
    "dl20-passage",
    "dl-hard",
    "dlhard",
    "queries-dev-small",
    "msmarco-test2019-queries",
    "msmarco-test2020-queries",
    *(f"msmarco-{version}passage-dev" for version in ("", "v1-")),
    *(f"msmarco-passage-{split}-subset" for split in ("dev", "test")),
}


@dataclass(frozen=True)
class Topics:
    """Queries in the order of their file.

    Attributes:
        name: the full name (dl19-passage), or the path.
        items: pairs of query id and text.
        family: the collection the topics were made for, "msmarco-v1-passage", or None.
    """

    name: str
    items: list[tuple[str, str]]
    family: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)

    @property
    def qids(self) -> list[str]:
        """The ids of the queries."""
        return [qid for qid, _ in self.items]

    @property
    def texts(self) -> list[str]:
        """The texts of the queries."""
        return [text for _, text in self.items]


def load_topics(name_or_path: str | Path, *, query_key: str | None = None) -> Topics:
    """Load topics from a file, or by a name: dl19, dl20, dev, or any that Pyserini knows.

    The format is told by the content: TSV (id, TAB, text; further columns are left out unless the
    first line names the columns), TREC (`<top>`, `<num>`, `<title>`), the XML of TREC-COVID, JSON
    (lines, an array, or an object that maps ids to topics), or lines of `number:text`. Each may be
    gzipped. `irds:` and a name of ir_datasets names a data set's queries. Ids stay as they are, but
    for TREC collections that Pyserini numbers (051 and MB01 are 51 and 1 there, as in its qrels).

    Args:
        name_or_path: a file, or a name; a file of that name goes first.
        query_key: the field that is the query (`desc`, `question`, ...) where a topic has several;
            by default the title, or the first of TEXT_KEYS that holds text.

    Raises:
        TopicsError: no such file or name (the nearest are named), or a malformed topic, an empty
            one, or a second one with the same id (file and line are named).
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    if not is_file(path):
        if ir_datasets.is_dataset(name):
            return _from_dataset(name)
        if os.path.isdir(path):
            raise TopicsError(f"{path} is a folder: give a file of topics, or a name such as dl19.")
        if len(path.parts) > 1 or path.suffix in (".tsv", ".txt", ".jsonl", ".json", ".gz"):
            raise TopicsError(f"the topics file {path} does not exist.")
        name = names.canonical_name(name)
        try:
            path = names.find(names.TOPICS, name)
        except names.UnknownNameError as error:
            raise TopicsError(str(error)) from error
    return Topics(name, read_topics(path, query_key=query_key), _family(path, name))


def _from_dataset(name: str) -> Topics:
    try:
        items = ir_datasets.read_queries(name)
    except ir_datasets.DatasetError as error:
        raise TopicsError(str(error)) from error
    passages = name.startswith(f"{ir_datasets.PREFIX}msmarco-passage")
    return Topics(name, items, MSMARCO_PASSAGE if passages else None)


def read_topics(path: str | Path, *, query_key: str | None = None) -> list[tuple[str, str]]:
    """Read a topics file; see `load_topics` for the formats and the errors."""
    items: list[tuple[str, str]] = []
    places: dict[str, str] = {}
    for place, record in read_records(path):
        try:
            qid, text = topic_of(record, query_key)
        except Malformed as error:
            raise TopicsError(f"{path}, {place}: {error}") from error
        if qid in places:
            raise TopicsError(
                f"{path}, {place}: topic {qid} was already given in {places[qid]}: remove one."
            )
        places[qid] = place
        items.append((qid, text))
    if not items:
        raise TopicsError(f"{path} holds no topics.")
    return items


def _family(path: Path, name: str) -> str | None:
    known = {names.plain(name), names.plain(names.name_of_file(path))}
    return MSMARCO_PASSAGE if known & _MSMARCO_PASSAGE_NAMES else None
