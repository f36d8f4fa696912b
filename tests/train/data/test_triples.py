"""Triples of ids with their texts in other files, and texts by id."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from hypserini.errors import TrainingError
from hypserini.train.data.dataset import TrainingData
from hypserini.train.data.opening import training_data, validation_data
from hypserini.train.recipe.config import DataSection

DOCUMENTS = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents with whole numbers from 0 as ids, queries in no order, triples with scores."""
    (tmp_path / "collection.tsv").write_text(
        "".join(f"{n}\ttext é {n}\n" for n in range(DOCUMENTS)), encoding="utf-8"
    )
    (tmp_path / "queries.tsv").write_text("7\tquery seven\nq1\tquery one\n007\tquery bond\n")
    lines = [("7", 3, 4), ("q1", 0, 39), ("007", 12, 13)]
    (tmp_path / "triples.tsv").write_text("".join(f"{q}\t{p}\t{n}\n" for q, p, n in lines))
    return tmp_path


def _open(folder: Path, *, labels: bool = False, **section: Any) -> TrainingData:
    values = {
        "training_triples": str(folder / "triples.tsv"),
        "training_collection": str(folder / "collection.tsv"),
        "training_queries": str(folder / "queries.tsv"),
        "num_negatives_to_sample": 1,
    }
    data = DataSection(**(values | section))
    return training_data(data, labels=labels, seed=0, source="my.yaml")


def _shown(data: TrainingData, position: int) -> list[str]:
    example = data[position]
    return [example.query, *(item.content for item in example.items)]


def test_ids_become_texts(folder: Path) -> None:
    data = _open(folder)
    assert [_shown(data, n) for n in range(len(data))] == [
        ["query seven", "text é 3", "text é 4"],
        ["query one", "text é 0", "text é 39"],
        ["query bond", "text é 12", "text é 13"],
    ]
    assert [item.type for item in data[0].items] == ["positive", "negative"]
    again = pickle.loads(pickle.dumps(data))
    assert _shown(again, 2) == _shown(data, 2)
    without = _open(folder, num_negatives_to_sample=0)
    assert _shown(without, 0) == ["query seven", "text é 3"]


def test_scores_more_negatives_and_other_orders(folder: Path) -> None:
    (folder / "triples.tsv").write_text("7 3 4 2.5 -1\n")
    example = _open(folder, labels=True)[0]
    assert [(i.content, i.score) for i in example.items] == [("text é 3", 2.5), ("text é 4", -1)]
    (folder / "triples.tsv").write_text("2.5 -1 0.5 x 4 3 7 5\n")
    columns = ["positive_score", "negative_score", "negative_score", "-"]
    columns += ["negative", "positive", "query", "negative"]
    data = _open(folder, labels=True, triples_columns=columns, num_negatives_to_sample=2)
    found = {item.content: item.score for item in data[0].items}
    assert found == {"text é 3": 2.5, "text é 4": -1, "text é 5": 0.5}
    assert data[0].items[0].content == "text é 3"


def test_many_lines_packed_or_with_gaps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPSERINI_CACHE", str(folder / "cache"))
    rng = random.Random(0)
    pairs = [(rng.randrange(DOCUMENTS), rng.randrange(DOCUMENTS)) for _ in range(500)]
    gaps = [rng.choice(["", "\n", " \n\n"]) for _ in pairs]
    text = "".join(f"7 {p} {n}\n{gap}" for (p, n), gap in zip(pairs, gaps, strict=True))
    (folder / "triples.tsv").write_text(text)
    with gzip.open(folder / "triples.tsv.gz", "wt") as file:
        file.write(text.rstrip("\n"))
    data = _open(folder)
    packed = _open(folder, training_triples=str(folder / "triples.tsv.gz"))
    expected = [["query seven", f"text é {p}", f"text é {n}"] for p, n in pairs]
    assert [_shown(data, n) for n in range(len(data))] == expected
    assert [_shown(packed, n) for n in range(len(packed))] == expected


def test_collections_in_json_and_with_ids_of_any_kind(folder: Path) -> None:
    documents = [
        {"_id": "doc-b", "title": "the title", "text": "the text"},
        {"id": "doc-a", "contents": "the contents \ud83d"},
        {"id": 5, "contents": ""},
    ]
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    (folder / "collection.jsonl").write_text("\ufeff" + lines, encoding="utf-8")
    (folder / "queries.jsonl").write_text('{"qid": 9, "title": "a query"}\n')
    (folder / "triples.tsv").write_text("9 doc-a doc-b\n9 doc-b 5\n")
    data = _open(
        folder,
        training_collection=str(folder / "collection.jsonl"),
        training_queries=str(folder / "queries.jsonl"),
    )
    assert _shown(data, 0) == ["a query", "the contents \ufffd", "the title the text"]
    assert _shown(data, 1) == ["a query", "the title the text", ""]


def test_columns_of_documents_are_joined_and_those_of_queries_are_not(folder: Path) -> None:
    (folder / "collection.tsv").write_text("D1\turl\t\tbody\nD2\tother\n")
    (folder / "queries.tsv").write_text("1\tquery\tfurther\n")
    (folder / "triples.tsv").write_text("1 D1 D2\n")
    assert _shown(_open(folder), 0) == ["query", "url body", "other"]


def test_validation_takes_the_texts_of_training(folder: Path) -> None:
    (folder / "valid.tsv").write_text("7 1 2\n")
    section = DataSection(
        training_triples=str(folder / "triples.tsv"),
        training_collection=str(folder / "collection.tsv"),
        training_queries=str(folder / "queries.tsv"),
        validation_triples=str(folder / "valid.tsv"),
    )
    data = validation_data(section, labels=False, seed=0, source="my.yaml")
    assert data is not None
    assert _shown(data, 0) == ["query seven", "text é 1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("8 3 4", r"column 1, query: .*queries\.tsv has no id '8' \("),
        ("07 3 4", r"column 1, query: .*has no id '07' "),
        ("7 40 4", r"column 2, positive: .*collection\.tsv has no id '40' "),
        ("7 3 nine", r"column 3, negative: .*collection\.tsv has no id 'nine' "),
        ("7 3", r"2 columns, where 3 are expected \(query, positive, negative\): '7 3'"),
        ("7 3 4 5", "4 columns, where 3 are expected"),
        ("7 3 \udce9", "not UTF-8"),
    ],
)
def test_a_bad_line_is_named(folder: Path, line: str, message: str) -> None:
    path = folder / "triples.tsv"
    path.write_text("7 3 4\n\n" * 100 + f"{line}\n7 3 4\n", errors="surrogateescape")
    with pytest.raises(TrainingError, match=rf"triples\.tsv, line 201: {message}"):
        _open(folder)


@pytest.mark.parametrize("score", ["nan", "inf", "high"])
def test_a_score_that_is_no_number(folder: Path, score: str) -> None:
    (folder / "triples.tsv").write_text(f"7 3 4 1 2\n7 3 4 1 {score}\n")
    with pytest.raises(TrainingError, match=rf"line 2: column 5, negative_score, .*{score}"):
        _open(folder, labels=True)


def test_what_cannot_be_drawn_from_triples(folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"triples\.tsv, line 1 and all others: .*no score"):
        _open(folder, labels=True)
    with pytest.raises(TrainingError, match=r"1 negative, but num_negatives_to_sample is 7"):
        _open(folder, num_negatives_to_sample=7)
    (folder / "triples.tsv").write_text("7 3 4 5\n")
    with pytest.raises(TrainingError, match="line 1: 4 columns: name each as triples_columns"):
        _open(folder)
    (folder / "triples.tsv").write_text("\n")
    with pytest.raises(TrainingError, match=r"triples\.tsv is empty"):
        _open(folder)


@pytest.mark.parametrize(
    ("collection", "queries"),
    [
        ('id\ttext\ttitle\n3\t"A ""b"""\tT\n4\tc\t\n', "qid\tquery\n7\tseven\n"),
        ('\ufeff3\tT A "b"\n4\tc\n', "\ufeff7\tseven\tmore\n"),
        (
            '{"_id": "3", "title": "T", "text": "A \\"b\\""}\n'
            '{"id": 4, "contents": "", "text": "c"}\n',
            '{"qid": "7", "title": "", "text": "seven"}\n',
        ),
        ('{"pid": "3", "docid": "x", "text": "T A \\"b\\""}\n\n{"pid": "4", "text": "c"}\n', None),
    ],
)
def test_texts_are_read_as_everywhere(folder: Path, collection: str, queries: str | None) -> None:
    (folder / "triples.tsv").write_text("\ufeff7 3 4\n")
    (folder / "collection.tsv").write_text(collection)
    (folder / "queries.tsv").write_text(queries or "7\tseven\n")
    assert _shown(_open(folder), 0) == ["seven", 'T A "b"', "c"]


def test_a_text_given_twice_is_named_by_its_line(folder: Path) -> None:
    (folder / "collection.tsv").write_text("id\ttext\n\n3\ta\n4\tb\n3\tc\n")
    with pytest.raises(TrainingError, match=r"line 5: the id 3 was already given in line 3"):
        _open(folder)
    (folder / "collection.tsv").write_text("id\ttext\n")
    with pytest.raises(TrainingError, match="is empty but for its first line"):
        _open(folder)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["query", "positive", "passage"], "names 'passage': known are query"),
        (["query", "query", "positive"], "needs one query and one positive"),
        (["query", "positive", "negative", "positive_score"], "needs as many scores as doc"),
    ],
)
def test_columns_that_do_not_go_together(folder: Path, columns: list[str], message: str) -> None:
    with pytest.raises(TrainingError, match=f"my.yaml: data_config: triples_columns {message}"):
        _open(folder, triples_columns=columns)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("collection.tsv", "1\ta\n2 b\n", "line 2: no TAB between an id and a text: '2 b'"),
        ("collection.tsv", "1\ta\n\tb\n", "line 2: the id is empty"),
        ("collection.tsv", "1\ta\n2\tb\n1\tc\n", "line 3: the id 1 was already given in line 1"),
        ("collection.tsv", "2\ta\n2\tc\n", "line 2: the id 2 was already given in line 1"),
        ("collection.tsv", "1\ta\n2\t\udce9\n", r"line 2: not UTF-8 \(byte 0xe9\)"),
        ("collection.tsv", "", " is empty"),
        ("collection.tsv", '{"id": 1}\n', r"line 1: the document has no contents and no text"),
        ("collection.tsv", '{"id": 1, "contents": 2}\n', "line 1: field contents is not a string"),
        ("collection.tsv", '{"id": 1, "text": ""}\n{', "line 2: malformed JSON"),
        ("queries.tsv", "1\ta\n2\t \n", "line 2: query 2 has no text"),
        ("queries.tsv", '{"text": "a"}\n', "line 1: the topic has no id"),
    ],
)
def test_bad_texts_are_named(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content, errors="surrogateescape")
    with pytest.raises(TrainingError, match=f"{name}.*{message}") as caught:
        _open(folder)
    assert "\n" not in str(caught.value)
