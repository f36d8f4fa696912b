"""Training data: what is drawn, and what is said about data that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypserini.errors import TrainingError
from hypserini.train.data import TrainingData


def _line(**changes: Any) -> dict[str, Any]:
    items = [{"content": f"document {n}", "score": float(-n), "type": "other"} for n in range(5)]
    items[3]["type"] = "positive"
    return {"query": {"id": "1", "content": "a query"}, "items": items} | changes


def _write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def test_the_first_item_is_the_positive(path: Path) -> None:
    data = TrainingData(_write(path, _line(), "", _line()), negatives=4)
    assert len(data) == 2
    example = data[1]
    assert example.query == "a query"
    assert example.items[0].content == "document 0"
    assert {i.content for i in example.items[1:]} == {f"document {n}" for n in (1, 2, 3, 4)}
    assert [i.score for i in example.items] == [-float(i.content[-1]) for i in example.items]


def test_the_positive_is_found_by_type(path: Path) -> None:
    data = TrainingData(_write(path, _line()), negatives=2, positive_filter="type")
    for epoch in range(5):
        data.set_epoch(epoch)
        assert data[0].items[0].content == "document 3"
        assert "document 3" not in [item.content for item in data[0].items[1:]]


def test_drawing_depends_on_seed_and_epoch_alone(path: Path) -> None:
    _write(path, *[_line() for _ in range(20)])

    def drawn(seed: int, epoch: int) -> list[str]:
        data = TrainingData(path, negatives=1, seed=seed)
        data.set_epoch(epoch)
        return [data[n].items[1].content for n in range(20)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(2, 0)
    assert drawn(1, 0) != drawn(1, 1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{not json", "not JSON"),
        ([1], "not a JSON object"),
        (_line(query={"id": "1"}), r"query\.content"),
        (_line(items=[]), "items is missing or empty"),
        (_line(items=[{"content": 3}]), r"items\[0\]\.content"),
        (_line(items=[{"content": "x", "score": "high"}]), r"items\[0\]\.score is no number"),
        (_line(items=[{"content": "x", "score": float("nan")}]), r"items\[0\]\.score is nan"),
        (_line(items=[{"content": "x", "type": 7}]), r"items\[0\]\.type"),
        (_line(items=[{"content": "x", "score": 1}]), "0 negatives.*num_negatives_to_sample is 1"),
        (_line(items=[{"content": "x"}, {"content": "y"}]), "no score"),
    ],
)
def test_bad_data_is_named_before_training(path: Path, bad: Any, message: str) -> None:
    _write(path, _line(), bad)
    with pytest.raises(TrainingError, match=f"train.jsonl, line 2: .*{message}"):
        TrainingData(path, negatives=1, scores=True)


def test_no_positive_of_that_type(path: Path) -> None:
    items = [{"content": "x", "type": "other"}, {"content": "y", "type": "other"}]
    with pytest.raises(TrainingError, match='line 1: no item has the type "positive"'):
        TrainingData(_write(path, _line(items=items)), positive_filter="type")


def test_missing_empty_and_unknown(path: Path) -> None:
    with pytest.raises(TrainingError, match=r"train\.jsonl cannot be read"):
        TrainingData(path)
    with pytest.raises(TrainingError, match="is empty"):
        TrainingData(_write(path, ""))
    with pytest.raises(TrainingError, match=r"'best'.*first, type"):
        TrainingData(path, positive_filter="best")
