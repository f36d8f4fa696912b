"""`--mode auto` goes by what the device was measured to take, once; the index keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl

from hypserini import LuceneHypencoderSearcher
from hypserini.index.__main__ import main as build
from hypserini.index.lucene_files import SPEED
from hypserini.search.modes import speed


@pytest.fixture
def index(tmp_path: Path, tiny_model: Path) -> Path:
    """An index of more documents than a measurement scores."""
    source = write_jsonl(tmp_path / "corpus.jsonl", make_documents(1500))
    flags = ["--collection", source, "--model", tiny_model, "--max-length", 16, "--quiet"]
    assert build([*map(str, flags), "--index", str(tmp_path / "index")]) == 0
    return tmp_path / "index"


def chosen(index: Path) -> str:
    speed._known.clear()  # as in a new process
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        return searcher.search("graph of words", mode="auto").cost.mode


def slow_down(index: Path, milliseconds: float) -> None:
    kept = json.loads((index / SPEED).read_text())
    (index / SPEED).write_text(json.dumps(dict.fromkeys(kept, milliseconds)))


def test_what_was_measured_is_kept_and_chooses(index: Path, monkeypatch) -> None:
    assert chosen(index) == "exhaustive"
    kept = json.loads((index / SPEED).read_text())
    assert len(kept) == 1
    assert all("cpu" in name and value > 0 for name, value in kept.items())
    monkeypatch.setattr(speed, "_measured", lambda *_: pytest.fail("it was measured before"))
    assert chosen(index) == "exhaustive"
    slow_down(index, 1.0)
    assert chosen(index) == "tangent"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cpu": "fast"}', '{"cpu": NaN}', "\0"])
def test_a_damaged_file_is_measured_anew(index: Path, content: str) -> None:
    (index / SPEED).write_text(content)
    assert chosen(index) == "exhaustive"
    assert any("q-net" in name for name in json.loads((index / SPEED).read_text()))


def test_an_index_that_cannot_be_written_to_is_searched(index: Path, monkeypatch) -> None:
    monkeypatch.setattr(speed, "keep_beside", lambda *_: "read-only")
    assert chosen(index) == "exhaustive"
    assert not (index / SPEED).exists()
