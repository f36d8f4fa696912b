"""Every file in examples/ runs and prints or writes what it says."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from hypserini.formats.runs import read_run, write_run
from hypserini.index.reader import Index
from hypserini.search.bm25 import Bm25

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# One imports Pyserini's searchers, one is for Anserini's indexes: see search/test_pyserini.py and
# search/test_anserini_indexes.py.
RUN_ELSEWHERE = {"rerank_bm25.py", "head_over_index.py"}
RUN_HERE = {
    *("index.py", "search.py", "rerank_run.py", "hybrid.py", "filter.py", "custom_q_net.py"),
    "encoded_queries.py",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run an example with arguments; the lines it printed."""

    def run_example(name: str, *arguments: object) -> list[str]:
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run_example


def test_no_example_goes_untested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == RUN_HERE | RUN_ELSEWHERE


def test_index(run, tmp_path, collection, tiny_model) -> None:
    lines = run("index.py", collection, tmp_path / "index", tiny_model)
    assert lines[-1].startswith("400 documents")


def test_search(run, tmp_path, index, topics_file, topics) -> None:
    lines = run("search.py", index, topics_file, tmp_path / "run.txt")
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert {qid: len(hits) for qid, hits in read_run(tmp_path / "run.txt").items()} == (
        dict.fromkeys(topics, 400)
    )


def test_rerank_run(run, tmp_path, index, topics_file, topics) -> None:
    with Bm25(index) as bm25, write_run(tmp_path / "bm25.txt") as writer:
        for qid, query in topics.items():
            writer.write(qid, [*map(as_pair, bm25.search(query, 20)), ("elsewhere", -1.0)])
    lines = run("rerank_run.py", index, topics_file, tmp_path / "bm25.txt", tmp_path / "run.txt")
    assert len(lines) == len(topics)
    for qid, hits in read_run(tmp_path / "run.txt").items():
        assert {docid for docid, _ in hits} == {
            docid for docid, _ in read_run(tmp_path / "bm25.txt")[qid]
        }
        assert hits[-1][0] == "elsewhere"


def as_pair(hit) -> tuple[str, float]:
    return hit.docid, hit.score


def test_hybrid(run, index) -> None:
    assert len(run("hybrid.py", index, "graph walk")) == 10
    assert len(run("hybrid.py", index, "graph walk", "normalize")) == 10


def test_filter(run, index, collection) -> None:
    lines = run("filter.py", index, "graph walk", "contents:walk")
    texts = [json.loads(line) for line in collection.read_text().splitlines()]
    with_it = {text["id"] for text in texts if "walk" in text["contents"].split()}
    assert {line.split()[0] for line in lines[:5]} <= with_it
    assert lines[5].startswith("3 hits among")


def test_custom_q_net(run, index) -> None:
    with Index(index) as opened:
        first = next(opened.docids())  # several threads have added them, in any order
    lines = run("custom_q_net.py", index)
    assert lines[0] == f"{first} 20.0000"
    assert len(lines) == 5


def test_encoded_queries(run, tmp_path, index, topics_file) -> None:
    lines = run("encoded_queries.py", index, topics_file, tmp_path / "qnets")
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert (tmp_path / "qnets").is_dir()
