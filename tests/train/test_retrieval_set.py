"""Retrieval sets: BEIR folders and single files, in memory and without Java."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hypserini.errors import HypseriniError, TrainingError
from hypserini.train.retrieval_set import read_retrieval_set


def _folder(path: Path, documents: int = 5) -> Path:
    """Queries 1 to 3 with documents d1 to d3 as relevant ones; query 3's is of grade 0."""
    (path / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{n}", "title": f"title {n}" if n % 2 else "", "text": f"text {n}"}
        for n in range(documents)
    ]
    (path / "corpus.jsonl").write_text("".join(json.dumps(d) + "\n" for d in corpus))
    queries = [{"_id": str(n), "text": f"query {n}"} for n in range(1, 5)]
    (path / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries))
    (path / "qrels" / "dev.tsv").write_text(
        "query-id\tcorpus-id\tscore\n1\td1\t1\n1\td4\t0\n2\td2\t2\n3\td3\t0\n9\td1\t1\n"
    )
    return path


def test_a_beir_folder(tmp_path: Path) -> None:
    data = read_retrieval_set(_folder(tmp_path))
    assert data.queries == {"1": "query 1", "2": "query 2"}
    assert data.documents["d1"] == "title 1 text 1"
    assert data.documents["d2"] == "text 2"
    assert list(data.documents) == [f"d{n}" for n in range(5)]
    assert data.qrels == {"1": {"d1": 1, "d4": 0}, "2": {"d2": 2}}


def test_single_files_and_files_in_place_of_the_folders(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "beir")
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tanother query\n")
    qrels = tmp_path / "qrels.txt.gz"
    with gzip.open(qrels, "wt") as file:
        file.write("1 0 a 1\n")
    documents = tmp_path / "corpus.jsonl"
    documents.write_text('{"id": "a", "contents": "text a"}\n{"id": "b", "contents": ""}\n')
    data = read_retrieval_set(queries=topics, documents=documents, qrels=qrels)
    assert (data.queries, data.qrels) == ({"1": "another query"}, {"1": {"a": 1}})
    assert data.documents == {"a": "text a", "b": ""}
    data = read_retrieval_set(folder, queries=topics)
    assert data.queries == {"1": "another query"}
    assert len(data.documents) == 5


def test_a_sample_holds_the_judged_documents(tmp_path: Path) -> None:
    folder = _folder(tmp_path, documents=200)
    data = read_retrieval_set(folder, max_documents=30, seed=1)
    assert len(data.documents) == 30
    assert {"d1", "d2", "d4"} < set(data.documents)
    numbers = [int(docid[1:]) for docid in data.documents]
    assert numbers == sorted(numbers)
    # Documents from all over the collection, not its beginning alone.
    assert sum(number >= 100 for number in numbers) > 5
    assert read_retrieval_set(folder, max_documents=30, seed=1) == data
    assert read_retrieval_set(folder, max_documents=30, seed=2) != data
    assert list(read_retrieval_set(folder, max_documents=2).documents) == ["d1", "d2", "d4"]
    few = read_retrieval_set(folder, max_queries=1)
    assert len(few.queries) == 1
    assert set(few.qrels) == set(few.queries)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "beir")
    with pytest.raises(HypseriniError, match=r"no qrels/test.tsv \(.*qrels holds dev.tsv\)"):
        read_retrieval_set(folder, split="test")
    with pytest.raises(TrainingError, match="its qrels: name a file"):
        read_retrieval_set(queries="x", documents="y")
    (folder / "qrels" / "dev.tsv").write_text("7\td1\t1\n")
    with pytest.raises(TrainingError, match=r"no query of .*queries.jsonl has a relevant"):
        read_retrieval_set(folder)
    (folder / "qrels" / "dev.tsv").write_text("1\tx\t1\n")
    with pytest.raises(TrainingError, match=r"no document that .*dev.tsv calls relevant is in"):
        read_retrieval_set(folder)
    (folder / "qrels" / "dev.tsv").write_text("1\td1\tgood\n")
    with pytest.raises(HypseriniError, match="line 1: the grade 'good'"):
        read_retrieval_set(folder)


def test_no_java_is_started(tmp_path: Path) -> None:
    code = (
        "import sys; from hypserini.train.retrieval_set import read_retrieval_set as read; "
        f"print(len(read({str(_folder(tmp_path))!r}).queries), 'jnius' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["2", "False"]
