"""Vectors out of one machine and into an index on another, in every format."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import make_documents, wait_for_documents, write_jsonl
from rankings import scores_like

from hypserini.encode.__main__ import main as encode_command
from hypserini.errors import CollectionError
from hypserini.formats.runs import read_run
from hypserini.formats.vector_readers import VectorSource
from hypserini.index.__main__ import main as index_command
from hypserini.index.reader import Index
from hypserini.search.__main__ import main as search_command


def command(main, *arguments: object) -> int:
    return main([*map(str, arguments), "--quiet"])


def encode(collection: Path, model: Path, output: Path, *flags: object) -> Path:
    arguments = ("--collection", collection, "--model", model, "--output", output, *flags)
    assert command(encode_command, *arguments, "--device", "cpu") == 0
    return output


def index_from(*paths: object, at: Path, flags: tuple[object, ...] = ()) -> Path:
    assert command(index_command, "--vectors-from", *paths, "--index", at, *flags) == 0
    return at


def run_of(index: Path, topics_file: Path, output: Path, *flags: object) -> dict:
    arguments = ("--index", index, "--topics", topics_file, "--output", output, *flags)
    assert command(search_command, *arguments, "--device", "cpu") == 0
    return read_run(output)


def assert_same_run(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
    for qid, hits in found.items():
        # Documents may be padded otherwise in another batch, which rounds their vectors otherwise.
        assert dict(hits) == scores_like(dict(expected[qid]))


@pytest.mark.parametrize("format", ["jsonl", "parquet", "npy"])
def test_two_shards_merged_give_the_run_of_direct_indexing(
    tmp_path, tiny_model, collection, index, topics_file, format: str
) -> None:
    shards = []
    for shard in range(2):
        machine = tmp_path / f"machine-{shard}"
        machine.mkdir()
        shutil.copy(collection, machine / "corpus.jsonl")
        flags = ("--format", format, "--shard-id", shard, "--shard-num", 2)
        made = encode(machine / "corpus.jsonl", tiny_model, machine / "vectors", *flags)
        (tmp_path / "here").mkdir(exist_ok=True)
        shards.append(made.rename(tmp_path / "here" / f"shard-{shard}"))
        shutil.rmtree(machine)
    made = index_from(*shards, at=tmp_path / "index")
    for flags in (("--hits", 400), ("--first-stage", "bm25")):
        expected = run_of(index, topics_file, tmp_path / "expected", *flags)
        assert_same_run(run_of(made, topics_file, tmp_path / "found", *flags), expected)
    with Index(made) as merged, Index(index) as direct:
        assert merged.raw("doc0007") == direct.raw("doc0007")
        ours, theirs = merged.metadata, direct.metadata
        for key in ("model", "fingerprint", "max_length", "consumed", "complete", "truncated"):
            assert ours[f"hypserini.{key}"] == theirs[f"hypserini.{key}"], key


def test_vectors_survive_every_format_to_the_last_bit(tmp_path, tiny_model, collection) -> None:
    found = {}
    for format in ("jsonl", "parquet", "npy"):
        made = encode(collection, tiny_model, tmp_path / format, "--format", format)
        blocks = list(VectorSource(made))
        assert [docid for block in blocks for docid in block.docids] == [
            f"doc{number:04}" for number in range(400)
        ]
        found[format] = np.concatenate([block.vectors for block in blocks])
        assert blocks[0].contents is not None
    assert found["npy"].dtype == np.float32
    assert np.array_equal(found["jsonl"], found["npy"])
    assert np.array_equal(found["parquet"], found["npy"])


@pytest.fixture(scope="module")
def foreign(index: Path) -> tuple[list[str], np.ndarray]:
    """The docids and vectors of the made index."""
    with Index(index) as opened:
        docids = list(opened.docids())
        return docids, opened.vectors(docids)


def write_pyserini_json(folder: Path, docids: list[str], vectors: np.ndarray) -> None:
    with open(folder / "embeddings.jsonl", "w") as file:
        for docid, vector in zip(docids, vectors.tolist(), strict=True):
            file.write(json.dumps({"id": docid, "contents": "text", "vector": vector}) + "\n")


def write_anserini_json(folder: Path, docids: list[str], vectors: np.ndarray) -> None:
    import gzip

    for part, rows in enumerate(np.array_split(np.arange(len(docids)), 2)):
        with gzip.open(folder / f"part{part}.jsonl.gz", "wt") as file:
            for i in rows:
                file.write(json.dumps({"docid": docids[i], "vector": vectors[i].tolist()}) + "\n")


def write_parquet(folder: Path, docids: list[str], vectors: np.ndarray) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"docid": docids, "vector": vectors.astype(np.float64).tolist()})
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "part.parquet")


def write_faiss(folder: Path, docids: list[str], vectors: np.ndarray) -> None:
    faiss = pytest.importorskip("faiss")
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    faiss.write_index(flat, str(folder / "index"))
    (folder / "docid").write_text("".join(f"{docid}\n" for docid in docids))


def write_npy(folder: Path, docids: list[str], vectors: np.ndarray) -> None:
    np.save(folder / "mine.npy", vectors.astype(np.float64))
    (folder / "mine.ids.txt").write_text("\n".join(docids))


@pytest.mark.parametrize(
    "write", [write_pyserini_json, write_anserini_json, write_parquet, write_faiss, write_npy]
)
def test_vectors_of_others_are_indexed(
    tmp_path, tiny_model, index, topics_file, foreign, write
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    write(theirs, *foreign)
    made = index_from(theirs, at=tmp_path / "index", flags=("--model", tiny_model))
    expected = run_of(index, topics_file, tmp_path / "expected")
    assert_same_run(run_of(made, topics_file, tmp_path / "found"), expected)


def test_an_index_of_an_unknown_model_is_searched_with_a_named_one(
    tmp_path, tiny_model, index, topics_file, foreign, capsys
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    write_npy(theirs, *foreign)
    made = index_from(theirs, at=tmp_path / "index", flags=("--vectors", "flat"))
    base = ("--index", made, "--topics", topics_file, "--output", tmp_path / "run")
    assert command(search_command, *base, "--device", "cpu") == 2
    assert "--model" in capsys.readouterr().err
    expected = run_of(index, topics_file, tmp_path / "expected")
    assert_same_run(run_of(made, topics_file, tmp_path / "run", "--model", tiny_model), expected)


def test_missing_doubled_and_strange_shards_are_refused(
    tmp_path, tiny_model, other_model, collection, capsys
) -> None:
    two = ("--shard-num", 2)
    one = encode(collection, tiny_model, tmp_path / "one", *two, "--shard-id", 1)
    base = ("--index", tmp_path / "index", "--vectors-from")
    assert command(index_command, *base, one) == 2
    assert "shard 0 of 2 is missing" in capsys.readouterr().err
    zero = encode(collection, tiny_model, tmp_path / "zero", *two)
    assert command(index_command, *base, one, zero, one) == 2
    assert "shard 1 of 2 is given twice" in capsys.readouterr().err
    other = encode(collection, other_model, tmp_path / "other", *two)
    assert command(index_command, *base, one, other) == 2
    error = capsys.readouterr().err
    assert str(other_model) in error
    assert str(tiny_model) in error
    assert (
        command(encode_command, "--collection", collection, "--output", "x", "--shard-id", 1) == 2
    )
    assert "--shard-num" in capsys.readouterr().err
    assert not list(tmp_path.glob("index*"))


MALFORMED = {
    '{"id": "a", "vector": [1, 2]}\n{"id": "b", "vector": [1]}\n': "line 2: the vector has 1",
    '{"id": "a", "vector": "x"}\n': "line 1: the vector is not a list of numbers",
    '{"id": "a"}\n': "line 1: expected an object with an id and a vector",
    '{"id": "a b", "vector": [1]}\n': "line 1: the id 'a b'",
    '{"id": \n': "line 1: malformed JSON",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_vectors_are_named_by_line(tmp_path, text: str) -> None:
    (tmp_path / "v.jsonl").write_text(text)
    with pytest.raises(CollectionError, match=MALFORMED[text]):
        list(VectorSource(tmp_path / "v.jsonl"))


def test_doubled_docids_and_what_is_not_a_number_are_refused(tmp_path, capsys) -> None:
    lines = tmp_path / "v.jsonl"
    base = ("--index", tmp_path / "index", "--vectors-from", lines)
    lines.write_text('{"id": "a", "vector": [1, 2]}\n' * 2)
    assert command(index_command, *base) == 2
    assert "docid a " in capsys.readouterr().err
    lines.write_text('{"id": "a", "vector": [1, NaN]}\n')
    assert command(index_command, *base) == 2
    assert "a" in capsys.readouterr().err
    np.save(tmp_path / "v.npy", np.ones((3, 2)))
    (tmp_path / "docids.txt").write_text("a\nb\n")
    assert (
        command(index_command, "--index", tmp_path / "i", "--vectors-from", tmp_path / "v.npy") == 2
    )
    assert "2 docids for 3 vectors" in capsys.readouterr().err
    assert not list(tmp_path.glob("i*"))


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Path, list[str], np.ndarray]:
    """Vectors in two files of different formats, their docids and themselves."""
    folder = tmp_path_factory.mktemp("many")
    rows = np.random.default_rng(0).normal(size=(40_000, 32)).round(3).astype(np.float32)
    docids = [f"d{i}" for i in range(len(rows))]
    (folder / "json").mkdir()
    with open(folder / "json" / "a.jsonl", "w") as file:
        for docid, vector in zip(docids[:20_000], rows[:20_000].tolist(), strict=True):
            file.write(json.dumps({"id": docid, "contents": docid, "vector": vector}) + "\n")
    (folder / "npy").mkdir()
    np.save(folder / "npy" / "b.npy", rows[20_000:])
    (folder / "npy" / "docids.txt").write_text("\n".join(docids[20_000:]))
    return folder, docids, rows


def test_a_killed_build_from_vectors_is_resumed(
    tmp_path, many, tiny_model, collection, capsys
) -> None:
    folder, docids, rows = many
    building = tmp_path / "index.building"
    paths = [folder / "json", folder / "npy"]
    index = tmp_path / "index"
    base = ["--index", index, "--vectors", "flat", "--commit-every", 0, "--vectors-from", *paths]
    line = [sys.executable, "-m", "hypserini.index", "--quiet", *map(str, base)]
    with subprocess.Popen(line) as process:
        wait_for_documents(process, building, 20_000)  # in the second file
        process.send_signal(signal.SIGKILL)
    assert not index.exists()
    with Index(building) as opened:
        before = opened.num_docs
    assert 20_000 < before < len(docids)
    for wrong, expected in (
        (base, "give --resume"),
        ([*base[:-1], "--resume"], "begun with --vectors-from"),
        ([*base, "--resume", "--vectors", "hnsw"], "begun with --vectors flat and not hnsw"),
        ([*base, "--resume", "--model", tiny_model], "begun with --model unset and not"),
        (
            [*base[:6], "--collection", collection, "--model", tiny_model, "--resume"],
            "begun with --vectors-from",
        ),
    ):
        assert command(index_command, *wrong) == 2
        assert expected in capsys.readouterr().err
    assert command(index_command, *base, "--resume") == 0
    with Index(index) as opened:
        assert sorted(opened.docids()) == sorted(docids)
        assert opened.num_vectors == len(docids)
        assert np.array_equal(opened.vectors(docids[::997]), rows[::997])
    assert not building.exists()


def test_a_build_is_not_resumed_with_changed_vectors(tmp_path, many, capsys) -> None:
    folder, docids, _ = many
    copy = tmp_path / "npy"
    shutil.copytree(folder / "npy", copy)
    names = docids[20_000:]
    (copy / "docids.txt").write_text("\n".join([*names[:-1], names[0]]))
    base = ("--index", tmp_path / "index", "--commit-every", 0, "--vectors-from", copy)
    base = (*base, "--vectors", "flat")
    assert command(index_command, *base) == 2
    assert f"docid {names[0]} " in capsys.readouterr().err
    (copy / "docids.txt").write_text("\n".join(reversed(names)))
    assert command(index_command, *base, "--resume") == 2
    assert "not the vectors that the build was begun with" in capsys.readouterr().err
    (copy / "docids.txt").write_text("\n".join(names))
    assert command(index_command, *base, "--resume") == 0
    with Index(tmp_path / "index") as opened:
        assert sorted(opened.docids()) == sorted(names)


def test_a_build_is_not_resumed_with_other_vectors_of_the_same_documents(tmp_path, capsys) -> None:
    rows = np.random.default_rng(0).normal(size=(9000, 4)).astype(np.float32)
    folder = tmp_path / "v"
    folder.mkdir()
    np.save(folder / "b.npy", rows)
    names = [f"d{i}" for i in range(9000)]
    (folder / "docids.txt").write_text("\n".join([*names[:-1], names[0]]))
    base = ("--index", tmp_path / "index", "--commit-every", 0, "--vectors-from", folder)
    assert command(index_command, *base) == 2  # after two commits, a docid that is there already
    (folder / "docids.txt").write_text("\n".join(names))
    np.save(folder / "b.npy", rows + 1)
    capsys.readouterr()
    assert command(index_command, *base, "--resume") == 2
    assert "not the vectors that the build was begun with" in capsys.readouterr().err
    np.save(folder / "b.npy", rows)
    assert command(index_command, *base, "--resume") == 0
    with Index(tmp_path / "index") as opened:
        assert np.array_equal(opened.vectors(names), rows)


def test_a_resumed_build_knows_its_model_and_its_mean(tmp_path, tiny_model, capsys) -> None:
    corpus = write_jsonl(tmp_path / "corpus.jsonl", make_documents(4500))
    made = encode(corpus, tiny_model, tmp_path / "made", "--format", "npy", "--max-length", 8)
    whole = index_from(made, at=tmp_path / "whole")
    broken = (made / "documents.jsonl").read_text()
    lines = broken.splitlines(keepends=True)
    (made / "documents.jsonl").write_text("".join([*lines[:4300], "[\n", *lines[4301:]]))
    base = ("--index", tmp_path / "index", "--commit-every", 0, "--vectors-from", made)
    assert command(index_command, *base) == 2
    assert "documents.jsonl, line 4301: expected a JSON object" in capsys.readouterr().err
    (made / "documents.jsonl").write_text(broken)
    assert command(index_command, *base, "--resume") == 0
    with Index(whole) as one, Index(tmp_path / "index") as other:
        assert one.metadata == other.metadata
        assert other.metadata["hypserini.consumed"] == "4500"
        assert other.raw("doc4499") == one.raw("doc4499")


def test_a_document_is_added_to_an_index_of_vectors(tmp_path, tiny_model, collection) -> None:
    vectors = encode(collection, tiny_model, tmp_path / "vectors")
    index = index_from(vectors, at=tmp_path / "index")
    (tmp_path / "one.jsonl").write_text('{"id": "new", "contents": "graph walk"}\n')
    assert command(index_command, "--index", index, "--add", tmp_path / "one.jsonl") == 0
    with Index(index) as opened:
        assert opened.holds(["new", "doc0001"]) == [True, True]
