"""Data sets that the `datasets` library reads, from files and folders."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from hypserini.errors import TrainingError
from hypserini.train.data.dataset import TrainingData
from hypserini.train.data.opening import training_data
from hypserini.train.recipe.config import DataSection

datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def _row(number: int, **changes: Any) -> dict[str, Any]:
    items = [
        {"id": str(n), "content": f"document {number} {n}", "score": -float(n), "type": "given"}
        for n in range(3)
    ]
    return {"query": {"id": str(number), "content": f"query {number}"}, "items": items} | changes


def _open(name: Path | str, *, labels: bool = False, **section: Any) -> TrainingData:
    data = DataSection(training_huggingface_dataset=str(name), **section)
    return training_data(data, labels=labels, seed=0, source="my.yaml")


def _file(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _check(data: TrainingData) -> None:
    assert len(data) == 20
    example = data[7]
    assert example.query == "query 7"
    assert example.items[0][:3] == ("document 7 0", 0.0, "given")
    assert {item.content for item in example.items[1:]} == {"document 7 1", "document 7 2"}
    assert [pickle.loads(pickle.dumps(data))[n] for n in range(20)] == list(data)


def test_files_and_folders(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(20)]
    made = datasets.Dataset.from_list(rows)
    folder = tmp_path / "folder"
    folder.mkdir()
    made.to_parquet(folder / "train.parquet")
    made.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "splits"))
    wanted: dict[str, Any] = {"labels": True, "num_negatives_to_sample": 2}
    for name in ("folder", "folder/train.parquet", "saved", "splits"):
        _check(_open(tmp_path / name, **wanted))
    _check(_open(_file(tmp_path / "train.jsonl", rows), **wanted))
    part = _open(tmp_path / "folder", training_data_split="train[5:10]")
    assert [example.query for example in part] == [f"query {n}" for n in range(5, 10)]


def test_items_as_lists_of_fields(tmp_path: Path) -> None:
    rows = [
        {"query": {"content": "a"}, "items": {"content": ["b", "c"], "score": [1.0, 2.0]}},
        {"query": {"content": "d"}, "items": {"content": ["e"], "score": [3.0]}},
    ]
    path = _file(tmp_path / "train.jsonl", rows)
    data = _open(path, positive_filter_type="score_above")
    assert [(item.content, item.score) for item in data[1].items] == [("e", 3.0)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (_row(1, query={"id": "1", "content": None}), r"query\.content is missing or no text"),
        (_row(1, items=[]), "items is missing or empty"),
        (
            _row(1, items=[_row(1)["items"][0], {"content": "x", "score": None}]),
            r"items\[1\] has no score, which the loss needs",
        ),
        (_row(1, items=[{"content": "x", "score": float("nan")}]), r"items\[0\]\.score is nan"),
        (_row(1, items=[{"content": "x", "score": 1.0}]), "0 negatives"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    rows = [_row(n) for n in range(600)]
    rows[500] = bad
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(TrainingError, match=f"train.parquet, row 500: .*{message}"):
        _open(tmp_path / "train.parquet", labels=True, num_negatives_to_sample=1)


def test_columns_of_a_wrong_type(tmp_path: Path) -> None:
    path = _file(tmp_path / "train.jsonl", [_row(1, items=[{"content": 3}])])
    with pytest.raises(TrainingError, match=r"row 0: items\[0\]\.content is missing or no text"):
        _open(path)
    for items in ({"content": 3}, {"content": "a", "score": 1.0}):
        path = _file(tmp_path / "one.jsonl", [_row(1, items=items)])
        with pytest.raises(TrainingError, match=r"row 0: items is no list but"):
            _open(path)
    path = _file(tmp_path / "other.jsonl", [{"query": "a", "positive": "b"}])
    with pytest.raises(TrainingError, match=r"no column items \(its columns are query, positive\)"):
        _open(path)


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no-one/no-data \(train\) cannot be loaded: .") as e:
        _open("no-one/no-data")
    assert "\n" not in str(e.value)
    path = _file(tmp_path / "train.jsonl", [_row(0)])
    with pytest.raises(TrainingError, match=r"train\.jsonl \(test\) cannot be loaded: .*test"):
        _open(path, training_data_split="test")
    datasets.Dataset.from_list([_row(0)]).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(TrainingError, match="saved has no split dev"):
        _open(tmp_path / "saved", training_data_split="dev")
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(TrainingError, match=r"broken\.jsonl \(train\) cannot be loaded"):
        _open(tmp_path / "broken.jsonl")
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(TrainingError, match=r"data\.txt has none of the suffixes"):
        _open(tmp_path / "data.txt")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TrainingError, match=r"datasets, which is not installed: pip install"):
        _open("some/data")
