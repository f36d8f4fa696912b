"""Building an index through the command line, with all that can be wrong."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_documents, make_model, wait_for_documents, write_jsonl

from hypserini.index.__main__ import main
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index


def build(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def docids(path: Path) -> list[str]:
    """All docids of an index, through an exhaustive scan."""
    from hypserini.search.scan import Scan

    with Index(path) as index, Scan(index, queries=1, k=max(1, index.num_docs)) as scan:
        while n := scan.next():
            scan.scores[0, :n] = 0
            scan.accept(n)
        return list(scan.hits(0)[0])


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail; its one line of error."""
    assert build(*arguments, "--quiet") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert ": error: " in error
    return error


def test_every_document_is_indexed_once_with_text_and_metadata(
    index: Path, collection: Path, tiny_model: Path
) -> None:
    documents = [json.loads(line) for line in collection.read_text().splitlines()]
    assert sorted(docids(index)) == sorted(document["id"] for document in documents)
    with Index(index) as opened:
        metadata = IndexMetadata.from_user_data(opened.metadata, str(index))
        assert json.loads(opened.raw("doc0007") or "") == documents[7]
    assert metadata is not None
    assert metadata.complete
    assert metadata.consumed == 400
    assert metadata.dimension == 32
    assert metadata.model == str(tiny_model)


@pytest.mark.parametrize("vectors", ["hnsw", "flat"])
def test_both_kinds_of_vectors_hold_the_same_documents(
    tmp_path: Path, tiny_model: Path, collection: Path, index: Path, vectors: str
) -> None:
    path = tmp_path / "index"
    arguments = ("--collection", collection, "--index", path, "--model", tiny_model, "--quiet")
    graph = ("--M", 8, "--ef-construction", 50) if vectors == "hnsw" else ()
    assert build(*arguments, "--vectors", vectors, *graph) == 0
    assert sorted(docids(path)) == sorted(docids(index))


def test_beir_and_gzip_and_tsv_are_read(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "beir"
    folder.mkdir()
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as file:
        file.write(json.dumps({"_id": "b1", "title": "merge", "text": "sort heap"}) + "\n")
    tsv = tmp_path / "collection.tsv"
    tsv.write_text("0\tindex search query\n1\tgraph walk beam\n")
    for source, expected in ((folder, ["b1"]), (tsv, ["0", "1"])):
        path = tmp_path / f"index-{source.name}"
        arguments = ("--collection", source, "--index", path, "--model", tiny_model, "--quiet")
        assert build(*arguments) == 0
        assert sorted(docids(path)) == expected


def test_chosen_fields_make_up_the_text(tmp_path: Path, tiny_model: Path) -> None:
    from hypserini.search import LuceneHypencoderSearcher

    documents = [
        {"id": "a", "title": "neural network", "contents": "byte"},
        {"id": "b", "title": "byte", "contents": "neural network"},
    ]
    source = write_jsonl(tmp_path / "corpus.jsonl", documents)
    scores = {}
    for fields in (["contents"], ["title"], ["title", "contents"]):
        path = tmp_path / "-".join(fields)
        arguments = ["--collection", source, "--index", path, "--model", tiny_model, "--quiet"]
        assert build(*arguments, "--fields", *fields) == 0
        with LuceneHypencoderSearcher(path, device="cpu") as searcher:
            hits = searcher.search("neural network", 2)
            scores[tuple(fields)] = {hit.docid: hit.score for hit in hits}
    assert scores["contents",]["b"] == pytest.approx(scores["title",]["a"], abs=1e-5)
    assert scores["contents",]["a"] != pytest.approx(scores["title", "contents"]["a"], abs=1e-5)


def test_empty_text_is_indexed_and_long_text_is_cut_and_both_are_reported_once(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    documents = [
        {"id": "empty", "contents": ""},
        {"id": "long1", "contents": "index " * 500},
        {"id": "long2", "contents": "graph " * 500},
        {"id": "plain", "contents": "index"},
    ]
    source = write_jsonl(tmp_path / "corpus.jsonl", documents)
    path = tmp_path / "index"
    with caplog.at_level("WARNING"):
        assert build("--collection", source, "--index", path, "--model", tiny_model) == 0
    assert sorted(docids(path)) == ["empty", "long1", "long2", "plain"]
    messages = [record.getMessage() for record in caplog.records]
    assert sum("1 documents have no text" in message for message in messages) == 1
    assert sum("2 documents are longer than 64 tokens" in message for message in messages) == 1


def test_an_index_is_replaced_only_with_overwrite(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index"
    first = write_jsonl(tmp_path / "first.jsonl", make_documents(5))
    second = write_jsonl(tmp_path / "second.jsonl", make_documents(3))
    base = ("--index", path, "--model", tiny_model)
    assert build("--collection", first, *base, "--quiet") == 0
    error = failure(capsys, "--collection", second, *base)
    assert str(path) in error
    assert "--overwrite" in error
    assert len(docids(path)) == 5
    assert build("--collection", second, *base, "--overwrite", "--quiet") == 0
    assert len(docids(path)) == 3
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_dir()] == ["index"]


def test_a_failed_overwrite_leaves_the_old_index(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index"
    good = write_jsonl(tmp_path / "good.jsonl", make_documents(5))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a", "contents": "x"}\n{"id": "b", "contents": }\n')
    base = ("--index", path, "--model", tiny_model)
    assert build("--collection", good, *base, "--quiet") == 0
    error = failure(capsys, "--collection", bad, *base, "--overwrite")
    assert "bad.jsonl" in error
    assert "line 2" in error
    assert len(docids(path)) == 5


def test_a_folder_that_is_no_index_is_never_touched(
    tmp_path: Path, tiny_model: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")
    base = ("--collection", collection, "--index", path, "--model", tiny_model, "--overwrite")
    assert "not a Lucene index" in failure(capsys, *base)
    assert (path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('{"id": "a", "contents": "x"}\n{"id": "a", "contents": "y"}\n', ["a", "line 2"]),
        ('{"id": "a", "contents": "x"}\n{"contents": "y"}\n', ["corpus.jsonl", "line 2", "id"]),
        ('{"id": "a", "contents": "x"}\n{"id": "b", "contents"\n', ["corpus.jsonl", "line 2"]),
        ("", ["corpus.jsonl"]),
    ],
)
def test_a_bad_collection_is_named_with_file_and_line(
    tmp_path: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    lines: str,
    expected: list[str],
) -> None:
    source = tmp_path / "corpus.jsonl"
    source.write_text(lines)
    path = tmp_path / "index"
    error = failure(capsys, "--collection", source, "--index", path, "--model", tiny_model)
    for part in expected:
        assert part in error
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus.jsonl"]


def test_a_missing_collection_and_an_unknown_model_are_named(
    tmp_path: Path, collection: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("--index", tmp_path / "index")
    missing = tmp_path / "nowhere.jsonl"
    assert str(missing) in failure(capsys, "--collection", missing, *base, "--model", tiny_model)
    error = failure(capsys, "--collection", collection, *base, "--model", "nobody/no-such-model")
    assert "nobody/no-such-model" in error


def test_nan_in_the_model_is_an_error(
    tmp_path: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    model = make_model(tmp_path / "nan")
    weights = load_file(model / "model.safetensors")
    key = "query_encoder.transformer.embeddings.LayerNorm.bias"
    weights[key][0] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    base = ("--collection", collection, "--index", tmp_path / "index", "--model", model)
    assert "nan" in failure(capsys, *base).lower()


@pytest.fixture(scope="module")
def slow_collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "slow.jsonl"
    return write_jsonl(path, make_documents(8_000))


@pytest.mark.slow  # test_crash.py kills at every point; here the collection is larger
def test_a_killed_build_is_resumed_without_losing_or_doubling_a_document(
    tmp_path: Path, tiny_model: Path, slow_collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index"
    building = tmp_path / "index.building"
    base = ["--collection", slow_collection, "--index", path, "--model", tiny_model]
    base += ["--batch-size", 8, "--commit-every", 0, "--quiet"]
    command = [sys.executable, "-m", "hypserini.index", *map(str, base)]
    with subprocess.Popen(command) as process:
        wait_for_documents(process, building, 500)  # a few commits
        process.send_signal(signal.SIGKILL)
    assert not path.exists()
    assert "--resume" in failure(capsys, *base)
    with Index(building) as opened:
        metadata = IndexMetadata.from_user_data(opened.metadata, str(building))
        assert metadata is not None
        assert opened.num_docs == metadata.consumed
        assert 0 < metadata.consumed < 8_000
        assert not metadata.complete
    other = make_model(tmp_path / "other-model", seed=5)
    wrong = [other if argument == tiny_model else argument for argument in base]
    assert "fingerprint" in failure(capsys, *wrong, "--resume")
    assert build(*base, "--resume") == 0
    found = docids(path)
    assert len(found) == len(set(found)) == 8_000
    with Index(path) as opened:
        assert opened.num_docs == 8_000
    assert not building.exists()
    shutil.rmtree(path)


def test_a_collection_need_not_lie_at_a_path_in_utf8(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / os.fsdecode(b"donn\xe9es")
    folder.mkdir()
    source = write_jsonl(folder / "corpus.jsonl", make_documents(5))
    index = tmp_path / "ix"
    assert build("--collection", source, "--model", tiny_model, "--index", index) == 0
    assert sorted(docids(index)) == [f"doc{number:04}" for number in range(5)]
