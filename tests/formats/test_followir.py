"""A folder of FollowIR becomes files that every command reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hypserini.errors import CollectionError
from hypserini.formats.followir import corpus_of, write_followir
from hypserini.formats.qrels import read_qrels
from hypserini.formats.runs import read_run
from hypserini.formats.topics import read_topics


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "core17"
    objects = {
        "corpus.jsonl": [{"_id": "d1", "title": "a", "text": "b"}],
        "queries.jsonl": [
            {"_id": "310", "text": "radio waves\n and brain cancer", "keywords": "x"}
            | {"instruction_og": "Any evidence.", "instruction_changed": "Evidence\tof phones."}
        ],
        "top_ranked.jsonl": [{"qid": "310", "pid": "d2"}, {"qid": "310", "pid": "d1"}],
        "qrels_og/test.jsonl": [{"query-id": "310", "corpus-id": "d1", "score": 1.0}],
        "qrels_changed/test.jsonl": [{"query-id": "310", "corpus-id": "d1", "score": 0.0}],
    }
    for name, rows in objects.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_topics_qrels_and_candidates(source, tmp_path):
    files = write_followir(source, tmp_path / "made")
    query = "radio waves and brain cancer"
    assert read_topics(files.topics("og")) == [("310", f"{query} Any evidence.")]
    assert read_topics(files.topics("changed")) == [("310", f"{query} Evidence of phones.")]
    assert read_qrels(files.qrels("og")) == {"310": {"d1": 1}}
    assert read_qrels(files.qrels("changed")) == {"310": {"d1": 0}}
    assert [docid for docid, _ in read_run(files.candidates)["310"]] == ["d2", "d1"]
    assert corpus_of(source) == source / "corpus.jsonl"


def test_qrels_may_be_tables(source, tmp_path):
    (source / "qrels_og/test.jsonl").unlink()
    (source / "qrels_og/test.tsv").write_text("query-id\tcorpus-id\tscore\n310\td1\t2\n")
    files = write_followir(source, tmp_path / "made")
    assert read_qrels(files.qrels("og")) == {"310": {"d1": 2}}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("queries.jsonl", None, "has no queries.jsonl"),
        ("qrels_og/test.jsonl", None, "has no qrels_og/test.jsonl or qrels_og/test.tsv"),
        ("queries.jsonl", '{"_id": "1", "text": "a"}', "line 1: the object has no instruction_og"),
        ("top_ranked.jsonl", "[]", "line 1: expected a JSON object"),
        (
            "qrels_changed/test.jsonl",
            '{"query-id": "1", "corpus-id": "d", "score": 0.5}',
            "line 1: the score 0.5 is not a whole number",
        ),
        (
            "qrels_changed/test.jsonl",
            '{"query-id": "1", "corpus-id": "d", "score": Infinity}',
            "line 1: the score inf is not a whole number",
        ),
    ],
)
def test_faults_name_file_and_line(source, tmp_path, name, text, message):
    (source / name).unlink() if text is None else (source / name).write_text(text + "\n")
    with pytest.raises(CollectionError, match=message.replace(".", r"\.")):
        write_followir(source, tmp_path / "made")
