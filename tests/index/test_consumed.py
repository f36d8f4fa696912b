"""A build is resumed over the collection that it was begun with, and over no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl

from hypserini.errors import CollectionError
from hypserini.formats.collection import Collection
from hypserini.index.build import build_index
from hypserini.index.consumed import Consumed
from hypserini.index.metadata import IndexMetadata
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.modeling import load_model
from hypserini.modeling.dual_encoder import DualEncoder

Documents = list[dict[str, str]]
OPTIONS = IndexOptions(
    threads=1, batch_size=1, commit_seconds=0
)  # 32 documents a chunk, and a commit


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> DualEncoder:
    return load_model(str(tiny_model), device="cpu")


@pytest.fixture
def begun(tmp_path: Path, model: DualEncoder) -> tuple[Path, Documents]:
    """A build that was committed after 64 of 120 documents, for line 110 was malformed."""
    documents = make_documents(120)
    source = write_jsonl(tmp_path / "corpus.jsonl", documents)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:109], "{", *lines[110:]]) + "\n")
    with pytest.raises(CollectionError, match="line 110"):
        build_index(source, tmp_path / "ix", model, OPTIONS, progress=False)
    with Index(tmp_path / "ix.building") as index:
        found = IndexMetadata.from_user_data(index.metadata, "")
        assert found is not None
        assert found.consumed == index.num_docs == 64
    return source, documents


def resume(source: Path, model: DualEncoder) -> list[str]:
    index = source.with_name("ix")
    build_index(source, index, model, OPTIONS, resume=True, progress=False)
    with Index(index) as opened:
        return list(opened.docids())


def test_a_collection_that_was_mended_where_it_had_not_been_read_is_gone_on_with(
    begun: tuple[Path, Documents], model: DualEncoder
) -> None:
    source, documents = begun
    mended = [*documents[:109], {"id": "mended", "contents": "index"}, *documents[110:]]
    write_jsonl(source, mended)
    assert resume(source, model) == [document["id"] for document in mended]


def edited(documents: Documents) -> Documents:
    """One word is another, and everything as long as it was."""
    text = documents[20]["contents"]
    return [*documents[:20], {**documents[20], "contents": "x" * len(text)}, *documents[21:]]


CHANGES: dict[str, tuple[Callable[[Documents], Documents], str]] = {
    "cut": (lambda d: d[:40], "it has 40 documents, and 64 are indexed"),
    "cut-at-the-head": (lambda d: d[3:], "document number 64 is doc0066 and was doc0063"),
    "reordered": (lambda d: d[::-1], "document number 64 is doc0056 and was doc0063"),
    "two-exchanged": (
        lambda d: [d[1], d[0], *d[2:]],
        "among the first 64 documents are others than were indexed",
    ),
    "edited": (edited, "among the first 64 documents are others than were indexed"),
    "another": (
        lambda d: [{**one, "id": f"other{i}"} for i, one in enumerate(d)],
        "document number 64 is other63 and was doc0063",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_collection_that_has_changed_is_refused(
    begun: tuple[Path, Documents], model: DualEncoder, change: str
) -> None:
    source, documents = begun
    how, said = CHANGES[change]
    write_jsonl(source, how(documents))
    with pytest.raises(CollectionError) as refused:
        resume(source, model)
    assert f"{source} has changed since the build was begun ({said}" in str(refused.value)
    assert "bytes then" in str(refused.value)
    write_jsonl(source, documents)
    assert resume(source, model) == [document["id"] for document in documents]


def test_what_was_committed_by_an_earlier_hypserini_is_gone_on_with(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "corpus.jsonl", make_documents(5))
    rest = Consumed(Collection(source)).rest(3, {})
    assert [document.docid for document in rest] == ["doc0003", "doc0004"]


def test_files_of_a_folder_that_change_places_are_refused(
    tmp_path: Path, model: DualEncoder
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    documents = make_documents(120)
    write_jsonl(folder / "a.jsonl", documents[:40])
    write_jsonl(folder / "b.jsonl", documents[40:])
    with open(folder / "b.jsonl", "a") as file:
        file.write("{\n")
    with pytest.raises(CollectionError, match="malformed"):
        build_index(folder, tmp_path / "ix", model, OPTIONS, progress=False)
    (folder / "b.jsonl").rename(folder / "0.jsonl")
    with pytest.raises(CollectionError, match="corpus has changed since the build was begun"):
        resume(folder, model)


def test_a_docid_that_occurs_again_is_named_with_its_line(
    tmp_path: Path, model: DualEncoder
) -> None:
    documents = make_documents(200)
    documents[150] = {**documents[150], "id": "doc0003"}
    source = write_jsonl(tmp_path / "corpus.jsonl", documents)
    for seconds in (0, 60):  # found against a commit, and before one
        options = IndexOptions(batch_size=1, commit_seconds=seconds)
        with pytest.raises(CollectionError, match=r"doc0003 occurs more .*corpus\.jsonl, line 151"):
            build_index(
                source, tmp_path / "ix", model, options, overwrite=seconds > 0, progress=False
            )


def test_a_commit_knows_a_digest_of_few_bytes(tmp_path: Path) -> None:
    collection = Collection(write_jsonl(tmp_path / "corpus.jsonl", make_documents(50)))
    consumed = Consumed(collection)
    consumed.add(collection)
    [value] = consumed.to_user_data().values()
    assert json.loads(value)["last"] == "doc0049"
    assert len(value) < 200
