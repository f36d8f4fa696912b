"""The interactive prompt, and the texts in JSON runs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from hypserini.index.build import build_index
from hypserini.search.__main__ import main

DOCUMENTS = [
    {"id": "d1", "title": "Graphs", "contents": "Graphs\nwalk over a graph " + "and on " * 40},
    {"id": "d2", "contents": "A heap\x1b[31m is a tree with one rule and no more than that, it is"},
    {"id": "d3", "contents": ""},
]


@pytest.fixture(scope="module")
def small(tmp_path_factory, tiny_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("small")
    lines = "\n".join(map(json.dumps, DOCUMENTS))
    (folder / "corpus.jsonl").write_text(lines)
    build_index(folder / "corpus.jsonl", folder / "index", str(tiny_model), progress=False)
    return folder / "index"


def test_the_prompt_shows_both_rankings_side_by_side(small, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "101")
    monkeypatch.setattr("sys.stdin", io.StringIO("graph\nzzzz\n\nnever read\n"))
    assert main(["--interactive", "--index", str(small), "--quiet", "--device", "cpu"]) == 0
    lines = [line.removeprefix("? ") for line in capsys.readouterr().out.splitlines()]
    assert all(len(line) <= 101 for line in lines[1:])
    start = next(i for i, line in enumerate(lines) if line.startswith("BM25"))
    assert lines[start].split() == ["BM25", "q-net"]
    one, two = lines[start + 2][:49], lines[start + 2][52:]
    assert one.split()[0] == two.split()[0] == "1"
    assert one.split()[2] == "d1"
    assert lines[start + 3].startswith("   Graphs")
    assert lines[start + 4].startswith("   walk over a graph")
    assert lines[start + 4][:49].rstrip().endswith("...")
    printed = "\n".join(lines)
    assert "\x1b" not in printed
    assert "nothing found" in printed  # BM25, of zzzz
    assert {docid for docid in ("d1", "d2", "d3") if docid in printed} == {"d1", "d2", "d3"}


def test_json_runs_hold_the_texts(small, tmp_path) -> None:
    (tmp_path / "topics.tsv").write_text("1\tgraph\n")
    flags = ["--index", small, "--topics", tmp_path / "topics.tsv", "--output", tmp_path / "run"]
    assert main([*map(str, flags), "--output-format", "json", "--quiet", "--device", "cpu"]) == 0
    record = json.loads((tmp_path / "run").read_text())
    texts = {hit["docid"]: hit["contents"] for hit in record["hits"]}
    assert texts["d1"] == DOCUMENTS[0]["contents"]
    assert texts["d2"] == DOCUMENTS[1]["contents"]
    assert not texts["d3"]
