"""BEIR folders as training data: positives that were judged, negatives drawn from the corpus."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from hypserini.errors import HypseriniError, TrainingError
from hypserini.train.data.dataset import TrainingData
from hypserini.train.data.opening import training_data, validation_data
from hypserini.train.recipe.config import DataSection

QRELS = "query-id\tcorpus-id\tscore\n1\td1\t1\n1\td2\t2\n1\td3\t0\n2\td1\t1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    corpus = [{"_id": f"d{n}", "title": "", "text": f"text {n}"} for n in range(8)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(d) + "\n" for d in corpus))
    queries = [{"_id": str(n), "text": f"query {n}"} for n in range(4)]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries))
    (tmp_path / "qrels" / "train.tsv").write_text(QRELS)
    return tmp_path


def _open(folder: Path, *, labels: bool = False, seed: int = 0, **section: Any) -> TrainingData:
    data = DataSection(**({"training_beir": str(folder)} | section))
    return training_data(data, labels=labels, seed=seed, source="my.yaml")


def _pairs(data: TrainingData) -> list[tuple[str, str]]:
    return [(example.query, example.items[0].content) for example in data]


def test_each_relevant_document_is_an_example(folder: Path) -> None:
    expected = [("query 1", "text 1"), ("query 1", "text 2"), ("query 2", "text 1")]
    assert _pairs(_open(folder)) == expected
    assert _pairs(_open(folder, positive_filter_type="type")) == expected
    assert all(len(example.items) == 1 for example in _open(folder))


def test_negatives_are_drawn_from_all_that_is_not_relevant(folder: Path) -> None:
    data = _open(folder, num_negatives_to_sample=6)
    # All that there is: documents judged not relevant and never judged.
    expected = {f"text {n}" for n in (0, 3, 4, 5, 6, 7)}
    assert {item.content for item in data[0].items[1:]} == expected
    assert [item.type for item in data[0].items] == ["positive"] + ["negative"] * 6
    drawn: set[str] = set()
    few = _open(folder, num_negatives_to_sample=1)
    for epoch in range(60):
        few.set_epoch(epoch)
        drawn.add(few[0].items[1].content)
    assert drawn == expected


def test_drawing_depends_on_seed_epoch_and_position_alone(folder: Path) -> None:
    data = _open(folder, num_negatives_to_sample=3, seed=1)
    first = [data[n] for n in range(3)]
    assert [data[n] for n in (2, 0, 1)] == [first[n] for n in (2, 0, 1)]
    again = pickle.loads(pickle.dumps(_open(folder, num_negatives_to_sample=3, seed=1)))
    assert list(again) == first
    again.set_epoch(1)
    assert list(again) != first
    assert list(_open(folder, num_negatives_to_sample=3, seed=2)) != first


def test_the_split_names_the_judgements(folder: Path) -> None:
    (folder / "qrels" / "dev.tsv").write_text("3\td7\t1\n")
    section = DataSection(
        training_beir=str(folder), validation_beir=str(folder), validation_data_split="dev"
    )
    data = validation_data(section, labels=False, seed=0, source="my.yaml")
    assert data is not None
    assert _pairs(data) == [("query 3", "text 7")]
    with pytest.raises(HypseriniError, match=r"no qrels/test\.tsv .*holds dev\.tsv, train\.tsv"):
        _open(folder, training_data_split="test")


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        (f"{QRELS}9\td1\t1\n", r"line 6: .*queries\.jsonl has no id '9': mend it"),
        (f"{QRELS}9\td1\t0\n1\tx\t1\n", r"line 7: .*corpus\.jsonl has no id 'x': mend it"),
        ("1\td1\t0\n", "no document is relevant"),
        ("1\td1\n", "line 1: expected"),
        ("", "is empty"),
    ],
)
def test_bad_judgements_are_named(folder: Path, qrels: str, message: str) -> None:
    (folder / "qrels" / "train.tsv").write_text(qrels)
    with pytest.raises(HypseriniError, match=rf"train\.tsv.*{message}"):
        _open(folder)


def test_what_cannot_be_drawn(folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"corpus\.jsonl holds 8 documents, too few for 2"):
        _open(folder, num_negatives_to_sample=7)
    with pytest.raises(TrainingError, match=r"train\.tsv gives .* no scores: items\[0\] has no"):
        _open(folder, labels=True, num_negatives_to_sample=1)
    with pytest.raises(TrainingError, match="num_positives_to_sample is 2"):
        _open(folder, num_positives_to_sample=2)
    (folder / "queries.jsonl").unlink()
    with pytest.raises(HypseriniError, match=r"has no queries\.jsonl"):
        _open(folder)
