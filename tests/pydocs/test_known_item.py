"""Held-out topics: nothing of a query is left in its document."""

from __future__ import annotations

import json
from pathlib import Path

from hypserini.pydocs.docstrings import Docstring, write_collection
from hypserini.pydocs.known_item import (
    sample_collection,
    select_topics,
    write_qrels,
    write_topics,
)

REST = "Parameters are described here at length. " * 8


def _docstring(docid: str, summary: str, rest: str = REST) -> Docstring:
    return Docstring(docid, docid.split(".")[0], "(x)", summary, rest)


def _many() -> list[Docstring]:
    held_out = [_docstring(f"pandas.f{n}", f"Count the colour number {n} here.") for n in range(30)]
    others = [_docstring(f"other.g{n}", f"Paint the wall number {n} now.") for n in range(30)]
    return held_out + others


def test_only_held_out_packages_and_unambiguous_summaries() -> None:
    odd = [
        _docstring("scipy.same", "Count the colour number 3 here."),  # shared with pandas.f3
        _docstring("scipy.repeated", "Say this one twice.", "Say this one twice! " + REST),
        _docstring("scipy.short", "Has hardly any rest.", "Nearly nothing."),
        _docstring("scipy.terse", "Too terse.", REST),
    ]
    topics = select_topics(_many() + odd, 100)
    assert {t.docid for t in topics} == {f"pandas.f{n}" for n in range(30)} - {"pandas.f3"}
    assert len({t.qid for t in topics}) == len(topics)


def test_the_choice_is_the_same_whatever_the_order() -> None:
    documents = _many()
    first = select_topics(documents, 10)
    assert len(first) == 10
    assert select_topics(documents[::-1], 10) == first


def test_a_sample_keeps_the_topics_and_their_neighbours() -> None:
    documents = _many()
    topics = select_topics(documents, 5)
    needed = {t.docid for t in topics}
    assert {d.docid for d in sample_collection(documents, topics, 3)} == needed
    sample = sample_collection(documents, topics, 40)
    assert len(sample) == 40
    assert {d.docid for d in documents if d.package == "pandas"} <= {d.docid for d in sample}
    assert sample == [d for d in documents if d in sample]
    assert sample_collection(documents, topics, None) == documents


def test_the_summary_does_not_leak_into_the_collection(tmp_path: Path) -> None:
    documents = _many()
    topics = select_topics(documents, 10)
    path = tmp_path / "docs.jsonl"
    write_collection(documents, path, without_summary=frozenset(t.docid for t in topics))
    by_id = {d["id"]: d for d in map(json.loads, path.read_text().splitlines())}
    for topic in topics:
        assert topic.query not in by_id[topic.docid]["contents"]
        assert "described here at length" in by_id[topic.docid]["contents"]
    assert "Paint the wall number 7 now." in by_id["other.g7"]["contents"]
    assert write_topics(topics, tmp_path / "t.tsv").read_text().splitlines() == [
        f"{t.qid}\t{t.query}" for t in topics
    ]
    assert write_qrels(topics, tmp_path / "q.txt").read_text().splitlines() == [
        f"{t.qid} 0 {t.docid} 1" for t in topics
    ]
