"""The text of a stored document is what was encoded, whatever fields it was made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hypserini.errors import CollectionError, IndexingError
from hypserini.formats.collection import Collection
from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.index.stored_text import StoredDocument, StoredTexts
from hypserini.index.writer import IndexWriter

COLLECTIONS = {
    "fields.jsonl": (
        '{"docid": "p1", "passage": "the capital of France", "title": "France"}\n'
        '{"docid": "p2", "passage": "graphs", "title": ""}\n'
        '{"docid": "p3", "title": "no passage", "contents": "not chosen"}\n',
        ("title", "passage"),
    ),
    "beir.jsonl": (
        '{"_id": "a", "title": "Title", "text": "Text."}\n{"_id": "b", "text": "alone"}\n',
        None,
    ),
    "v2.jsonl": ('{"pid": "m_0", "docid": "m", "passage": "p"}\n', ("passage",)),
    "empty.jsonl": ('{"id": "a", "contents": "", "title": "t", "text": "x"}\n', None),
    "strange.jsonl": ('{"id": "a", "contents": "half \\ud83d, nul \\u0000"}\n', None),
    "plain.tsv": ("1\tone\ttwo\n2\t\n", None),
    "columns.tsv": ("1\turl\tbody\n", ("3",)),
    "head.tsv": ('id\ttext\ttitle\n1\t"a ""b"""\tT\n', None),
    "named.tsv": ("id\ttext\ttitle\n1\ta\tT\n", ("title",)),
    "array.json": ('[{"id": "a", "contents": "x"}, {"id": "b", "contents": "y"}]', None),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_the_text_is_what_was_encoded(tmp_path: Path, tiny_model: Path, name: str) -> None:
    content, fields = COLLECTIONS[name]
    (tmp_path / name).write_text(content)
    expected = {d.docid: d.contents for d in Collection(tmp_path / name, fields)}
    options = IndexOptions(fields=fields, vectors="flat")
    build_index(tmp_path / name, tmp_path / "index", str(tiny_model), options, progress=False)
    with Index(tmp_path / "index") as index:
        texts = StoredTexts(index)
        for docid, contents in expected.items():
            assert texts.text(docid) == contents
            document = texts.document(docid)
            assert document is not None
            assert document.contents() == document.shown() == contents
        assert texts.text("absent") is None
        assert texts.document("absent") is None


@pytest.mark.parametrize(
    ("raw", "fields", "contents"),
    [
        ('{"title": "T", "body": "B"}', ("title", "body"), "T B"),
        ('{"title": "T", "body": "B"}', (), None),
        ('{"title": "T", "body": 5}', ("title", "body"), None),
        ("not JSON", (), None),
        ("[1]", (), None),
        ("[" * 100_000, (), None),
        ("9" * 5000, (), None),
    ],
)
def test_documents_of_other_indexes(raw: str, fields, contents: str | None) -> None:
    document = StoredDocument("d", raw, fields)
    assert document.contents() == contents
    assert document.shown() == (raw if contents is None else contents)
    assert document.get("title") == (json.loads(raw)["title"] if raw[0] == "{" else None)
    assert (document.docid(), document.id(), document.raw()) == ("d", "d", raw)


def test_an_index_without_texts_says_so(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=2) as writer:
        writer.add(["a", "b", "c"], np.ones((3, 2), np.float32), ["a"] * 3, ["x", "{}", "[]"])
        writer.commit({})
    with Index(tmp_path) as index:
        texts = StoredTexts(index)
        for docid in "ac":
            with pytest.raises(IndexingError, match=f"no JSON object of document {docid}"):
                texts.text(docid)
        with pytest.raises(CollectionError, match="document b: the document has no contents"):
            texts.text("b")
