"""The check of an index: what is sound is said so, what is not is named with its mend."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl

from hypserini.check.__main__ import main as check
from hypserini.index.__main__ import main as build


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with an `index` and the same documents in `shards`; the model lies beside them."""
    folder = tmp_path_factory.mktemp("checked")
    model = shutil.copytree(tiny_model, folder / "model")
    collection = write_jsonl(folder / "corpus.jsonl", make_documents(60))
    base = ["--collection", str(collection), "--model", str(model), "--quiet"]
    assert build([*base, "--index", str(folder / "index")]) == 0
    assert build([*base, "--index", str(folder / "shards"), "--shards", "2"]) == 0
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "copy")


def test_a_sound_index_is_said_so(made: Path, capsys) -> None:
    assert check([str(made / "index")]) == 0
    said = capsys.readouterr().out
    assert "metadata: 60 documents, vectors of 32 dimensions, hnsw" in said
    assert "docids: sound" in said
    assert "vectors: sound" in said
    assert "is the one that encoded it" in said
    assert check([str(made / "shards")]) == 0
    assert "2 agree" in capsys.readouterr().out


def test_damaged_files_are_named(copy: Path, capsys) -> None:
    vectors = max((copy / "index").glob("*.vec"))
    data = bytearray(vectors.read_bytes())
    data[len(data) // 2] ^= 0xFF
    vectors.write_bytes(data)
    assert check([str(copy / "index")]) == 2
    said = capsys.readouterr().err
    assert "Lucene finds them damaged" in said
    assert "build the index again, or copy it whole" in said


def test_a_docid_in_two_indexes_is_named(copy: Path, capsys) -> None:
    assert check([str(copy / "index"), str(copy / "shards")]) == 2
    assert "docids: doc0000 occurs more than once" in capsys.readouterr().err


def test_shards_that_do_not_agree_are_named(copy: Path, capsys) -> None:
    first = copy / "shards" / "shard-000"
    assert build(["--index", str(first), "--delete", "id:doc00*"]) == 0
    assert check([str(copy / "shards")]) == 2
    assert "shard-000 holds 0 documents and the manifest says" in capsys.readouterr().err
    shutil.rmtree(first)
    assert check([str(copy / "shards")]) == 2
    assert "the shard shard-000 of the index" in capsys.readouterr().err


def test_the_model_is_looked_into_where_it_is_there(copy: Path, other_model, capsys) -> None:
    shutil.move(copy / "index", copy.parent / "away")
    assert check([str(copy.parent / "away")]) == 0  # where it was recorded, it still is
    assert check([str(copy.parent / "away"), "--model", str(other_model)]) == 2
    assert "has other weights than those that encoded the index" in capsys.readouterr().err
    assert check([str(copy.parent / "away"), "--model", str(copy / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_what_is_no_index_is_said(tmp_path: Path, capsys) -> None:
    assert check([str(tmp_path / "none")]) == 2
    assert "there is no index at" in capsys.readouterr().err
    assert check([str(tmp_path)]) == 2
    assert "is not a Lucene index" in capsys.readouterr().err
