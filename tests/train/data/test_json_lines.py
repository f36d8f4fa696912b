"""Training data of JSON lines: what is drawn, and what is said about data that cannot be used."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from hypserini.errors import TrainingError
from hypserini.formats import reading
from hypserini.train.data.dataset import TrainingData
from hypserini.train.data.examples import Example
from hypserini.train.data.opening import training_data, validation_data
from hypserini.train.recipe.config import DataSection, parse_config


def _line(**changes: Any) -> dict[str, Any]:
    items = [{"content": f"document {n}", "score": float(-n), "type": "other"} for n in range(5)]
    items[3]["type"] = "positive"
    return {"query": {"id": "1", "content": "a query"}, "items": items} | changes


def _write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
    return path


def _open(path: Any, *, labels: bool = False, seed: int = 0, **section: Any) -> TrainingData:
    given = [str(p) for p in path] if isinstance(path, list) else str(path)
    data = DataSection(training_data_jsonl=given, **section)
    return training_data(data, labels=labels, seed=seed, source="my.yaml")


def _contents(example: Example) -> list[str]:
    return [item.content for item in example.items]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.jsonl"


def test_the_first_item_is_the_positive(path: Path) -> None:
    data = _open(_write(path, _line(), "", _line()), num_negatives_to_sample=4)
    assert len(data) == 2
    example = data[1]
    assert example.query == "a query"
    assert example.items[0].content == "document 0"
    assert {i.content for i in example.items[1:]} == {f"document {n}" for n in (1, 2, 3, 4)}
    assert [i.score for i in example.items] == [-float(i.content[-1]) for i in example.items]


def test_the_positive_is_found_by_type(path: Path) -> None:
    data = _open(_write(path, _line()), num_negatives_to_sample=2, positive_filter_type="type")
    for epoch in range(5):
        data.set_epoch(epoch)
        assert data[0].items[0].content == "document 3"
        assert "document 3" not in [item.content for item in data[0].items[1:]]
    other = _open(
        path, positive_filter_type="type", positive_filter_kwargs={"positive_type": "other"}
    )
    drawn = set()
    for epoch in range(40):
        other.set_epoch(epoch)
        drawn.add(other[0].items[0].content)
    assert drawn == {f"document {n}" for n in (0, 1, 2, 4)}


def test_positives_are_those_above_a_score(path: Path) -> None:
    kwargs = {"score_key": "score", "score_threshold": -1.5}
    data = _open(
        _write(path, _line()),
        positive_filter_type="score_above",
        positive_filter_kwargs=kwargs,
        num_positives_to_sample=2,
        num_negatives_to_sample=3,
    )
    assert data[0].items[0].score is not None
    contents = _contents(data[0])
    assert set(contents[:2]) == {"document 0", "document 1"}
    assert set(contents[2:]) == {"document 2", "document 3", "document 4"}


def test_a_score_can_choose_positives_without_being_a_label(path: Path) -> None:
    items = [{"content": "x", "judged": 0}, {"content": "y", "judged": 1}]
    data = _open(
        _write(path, _line(items=items)),
        positive_filter_type="score_above",
        positive_filter_kwargs={"score_key": "judged"},
        label_key=None,
    )
    assert _contents(data[0]) == ["y"]


def test_several_positives_stand_first(path: Path) -> None:
    items = [{"content": f"{kind} {n}", "type": kind} for kind in ("no", "yes") for n in range(3)]
    data = _open(
        _write(path, _line(items=items)),
        positive_filter_type="type",
        positive_filter_kwargs={"positive_type": "yes"},
        num_positives_to_sample=2,
        num_negatives_to_sample=1,
    )
    assert [c.split()[0] for c in _contents(data[0])] == ["yes", "yes", "no"]


def test_another_field_can_hold_the_score(path: Path) -> None:
    items = [{"content": "x", "teacher": 3, "score": "unused"}]
    _write(path, _line(items=items))
    assert _open(path, label_key="teacher")[0].items[0].score == 3.0
    with pytest.raises(TrainingError, match=r"num_negatives_to_sample is 0, but a loss"):
        _open(path, label_key="teacher", labels=True)
    assert _open(path, label_key=None)[0].items[0].score is None
    with pytest.raises(TrainingError, match=r"my\.yaml: data_config\.label_key is null"):
        _open(path, label_key=None, labels=True, num_negatives_to_sample=1)


def test_drawing_depends_on_seed_and_epoch_alone(path: Path) -> None:
    _write(path, *[_line() for _ in range(20)])

    def drawn(seed: int, epoch: int) -> list[str]:
        data = _open(path, num_negatives_to_sample=1, seed=seed)
        data.set_epoch(epoch)
        return [data[n].items[1].content for n in range(20)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(2, 0)
    assert drawn(1, 0) != drawn(1, 1)


def test_validation_data_stay_the_same(path: Path) -> None:
    _write(path, *[_line() for _ in range(20)])
    section = DataSection(training_data_jsonl="x", num_negatives_to_sample=2)
    assert validation_data(section, labels=False, seed=0, source="my.yaml") is None
    section.validation_data_jsonl = str(path)
    data = validation_data(section, labels=False, seed=0, source="my.yaml")
    assert data is not None
    first = [data[n] for n in range(20)]
    data.set_epoch(3)
    assert [data[n] for n in range(20)] == first


def test_several_files_plain_and_packed_are_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPSERINI_CACHE", str(path.parent / "cache"))
    packed = path.with_suffix(".jsonl.gz")
    with gzip.open(packed, "wt") as file:
        for n in range(3):
            file.write(json.dumps(_line(query={"content": f"packed {n}"})) + "\n")
    # Windows' line breaks, blank lines, a byte order mark, no line break at the end.
    text = "\ufeff" + "\r\n".join(json.dumps(_line(query={"content": f"é {n}"})) for n in range(2))
    path.write_bytes(text.replace("\r\n", "\r\n\r\n  \r\n").encode())
    data = _open([path, packed, path])
    queries = ["é 0", "é 1", "packed 0", "packed 1", "packed 2", "é 0", "é 1"]
    assert [data[n].query for n in range(len(data))] == queries
    assert [example.query for example in data] == queries
    again = pickle.loads(pickle.dumps(data))
    assert [again[n] for n in range(7)] == [data[n] for n in range(7)]
    # What was unpacked is used again, and replaced when the file is another.
    unpacked = list((path.parent / "cache" / "training").iterdir())
    assert len(_open(packed)) == 3
    assert list((path.parent / "cache" / "training").iterdir()) == unpacked
    with gzip.open(packed, "wt") as file:
        file.write(json.dumps(_line()) + "\n")
    assert len(_open(packed)) == 1


def test_halves_of_characters_become_whole(path: Path) -> None:
    data = _open(_write(path, '{"query": {"content": "a \\ud83d"}, "items": [{"content": "b"}]}'))
    assert data[0].query == "a \ufffd"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{not json", "malformed JSON"),
        ("[" * 100_000, "malformed JSON"),
        ([1], "not a JSON object"),
        (_line(query={"id": "1"}), r"query\.content is missing"),
        (_line(query={"content": "  "}), r"query\.content is empty"),
        (_line(query={"tokenized_content": [1]}), r"query\.content is missing: texts are token"),
        (_line(items=[]), "items is missing or empty"),
        (_line(items={"content": ["x"]}), "items is missing or empty"),
        (_line(items=["x"]), r"items\[0\]\.content is missing or no text"),
        (_line(items=[{"content": 3}]), r"items\[0\]\.content"),
        (_line(items=[{"content": "x", "score": "high"}]), r"items\[0\]\.score is no number"),
        (_line(items=[{"content": "x", "score": True}]), r"items\[0\]\.score is no number: True"),
        (_line(items=[{"content": "x", "score": float("nan")}]), r"items\[0\]\.score is nan"),
        (_line(items=[{"content": "x", "score": float("-inf")}]), r"items\[0\]\.score is -inf"),
        (
            _line(items=[{"content": "x", "score": 10**400}]),
            r"items\[0\]\.score is 100.*\.\.\.0*, not",
        ),
        (_line(items=[{"content": "x", "score": 1, "type": 7}]), r"items\[0\]\.type is no text: 7"),
        (_line(items=[{"content": "x", "score": 1}]), "0 negatives.*num_negatives_to_sample is 1"),
        (_line(items=[{"content": "x", "score": 1}, {"content": "y"}]), r"items\[1\] has no score"),
    ],
)
def test_bad_data_are_named_before_training(path: Path, bad: Any, message: str) -> None:
    _write(path, _line(), "", bad)
    with pytest.raises(TrainingError, match=f"train.jsonl, line 3: .*{message}") as caught:
        _open(path, num_negatives_to_sample=1, labels=True)
    assert "\n" not in str(caught.value)


def test_a_text_that_is_not_utf8(path: Path) -> None:
    path.write_bytes(json.dumps(_line()).encode() + b'\n{"query": {"content": "caf\xe9"}}\n')
    with pytest.raises(TrainingError, match=r"line 2: not UTF-8 \(byte 0xe9\)"):
        _open(path)


def test_no_positive(path: Path) -> None:
    items = [{"content": "x", "type": "other"}, {"content": "y"}]
    with pytest.raises(TrainingError, match='line 1: no positive: no item has the type "positive"'):
        _open(_write(path, _line(items=items)), positive_filter_type="type")
    with pytest.raises(TrainingError, match=r"line 1: .*no item has a score above 1"):
        _open(
            _write(path, _line()),
            positive_filter_type="score_above",
            positive_filter_kwargs={"score_threshold": 1},
        )
    with pytest.raises(TrainingError, match=r"line 1: .*1 positive, but num_positives_to_sample"):
        _open(path, num_positives_to_sample=2)


def test_missing_empty_and_damaged_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPSERINI_CACHE", str(path.parent / "cache"))
    with pytest.raises(TrainingError, match=r"train\.jsonl does not exist"):
        _open(path)
    with pytest.raises(TrainingError, match="is empty"):
        _open(_write(path, "", " "))
    packed = path.with_suffix(".gz")
    with pytest.raises(TrainingError, match=r"train\.gz does not exist"):
        _open(packed)
    packed.write_bytes(gzip.compress(os.urandom(5000))[:3000])
    with pytest.raises(TrainingError, match=r"train\.gz is a damaged gzip file"):
        _open(packed)
    assert not any((path.parent / "cache" / "training").iterdir())
    with gzip.open(packed, "wt") as file:
        file.write(json.dumps(_line()))
    monkeypatch.setenv("HYPSERINI_CACHE", str(packed))
    with pytest.raises(TrainingError, match=r"train\.gz cannot be unpacked into .*HYPSERINI_CACHE"):
        _open(packed)
    packed.unlink()
    packed.mkdir()
    with pytest.raises(TrainingError, match=r"train\.gz cannot be read \(Is a directory\)"):
        _open(packed)


def test_a_line_without_end_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1 << 20)
    path.write_text(json.dumps(_line()) + "\n" + "x" * (3 << 20))
    with pytest.raises(TrainingError, match=r"train\.jsonl, line 2: longer than 1 MiB"):
        _open(path)


def test_paths_that_no_file_can_have(path: Path) -> None:
    for name in ("x" * 5000, "a\0b", str(path / "below")):
        with pytest.raises(TrainingError) as caught:
            _open(Path(name))
        assert len(str(caught.value)) < 500


def test_what_was_checked_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(path, _line(), "", _line())
    with caplog.at_level("INFO", logger="hypserini"):
        _open(path)
    said = (
        r"Checked .*train\.jsonl: each line's query, items, .* in 2 lines \(.* s, [\d,]+ lines/s\)"
    )
    assert re.search(said, caplog.text)


def test_a_file_that_changes_after_the_check(path: Path) -> None:
    for seen_before in (False, True):
        data = _open(_write(path, _line(), _line()))
        if seen_before:
            assert len(data[1].items) == 1
        _write(path, _line())
        with pytest.raises(TrainingError, match=r"train\.jsonl was changed"):
            data[1]
    data = _open(path)
    path.unlink()
    with pytest.raises(TrainingError, match=r"train\.jsonl does not exist"):
        data[0]


def test_all_keys_of_the_papers_configuration_are_taken(path: Path) -> None:
    values = {
        "training_data_jsonl": str(_write(path, _line())),
        "validation_data_jsonl": str(path),
        "training_huggingface_dataset": None,
        "validation_huggingface_dataset": None,
        "training_data_split": "train",
        "validation_data_split": "train",
        "positive_filter_type": "type",
        "positive_filter_kwargs": {"positive_type": "positive"},
        "label_key": "score",
        "num_positives_to_sample": 1,
        "num_negatives_to_sample": 4,
    }
    section = parse_config({"data_config": values}).data_config
    for opened in (training_data, validation_data):
        data = opened(section, labels=True, seed=0, source="my.yaml")
        assert data is not None
        assert _contents(data[0])[0] == "document 3"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training_data_jsonl": None}, "names no training_data_jsonl, .* or training_qrels"),
        ({"training_beir": "x"}, "names both training_data_jsonl and training_beir"),
        ({"training_data_jsonl": [3]}, r"training_data_jsonl is \[3\]: give a path"),
        ({"training_data_split": "train[:10]"}, "training_data_split has no meaning for JSON"),
        ({"label_key": 3}, "label_key is 3: give"),
        ({"triples_columns": "query positive"}, "triples_columns is 'query positive': give a list"),
        ({"positive_filter_type": "best"}, "'best': use one of first, type"),
        (
            {"positive_filter_type": "type", "positive_filter_kwargs": {"typ": "x"}},
            "no key 'typ' for type: known are positive_type",
        ),
        (
            {"positive_filter_type": "score_above", "positive_filter_kwargs": {"score_key": "s"}},
            "score_key is 's' and label_key 'score'",
        ),
        ({"num_negatives_to_sample": "7"}, "num_negatives_to_sample is '7': give a whole number"),
        ({"num_positives_to_sample": 0}, "num_positives_to_sample is 0.*at least 1"),
        (
            {"training_data_jsonl": None, "training_triples": "x"},
            "training_triples holds ids: name their texts as training_collection",
        ),
    ],
)
def test_mistakes_in_the_configuration(path: Path, values: dict[str, Any], message: str) -> None:
    section = DataSection(**({"training_data_jsonl": str(_write(path, _line()))} | values))
    with pytest.raises(TrainingError, match=f"my.yaml: data_config.*{message}"):
        training_data(section, labels=False, seed=0, source="my.yaml")
