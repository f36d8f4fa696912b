"""Queries, judgements and documents of ir_datasets by name, and what goes wrong without the web."""

from __future__ import annotations

import sys
from collections import namedtuple
from types import SimpleNamespace

import pytest

from hypserini.errors import CollectionError, RunError, TopicsError
from hypserini.evaluate import load_qrels
from hypserini.formats.collection import Collection
from hypserini.formats.topics import load_topics

Query = namedtuple("Query", "query_id text")
Judgement = namedtuple("Judgement", "query_id doc_id relevance")
Document = namedtuple("Document", "doc_id title text")


class Made:
    """A data set as ir_datasets has them."""

    def __init__(self, **parts: object) -> None:
        self.parts = {"queries": [], "qrels": [], "docs": [], **parts}

    def __getattr__(self, name: str) -> object:
        for part, values in self.__dict__["parts"].items():
            if name == f"has_{part}":
                return lambda values=values: values is not None
            if name == f"{part}_iter":
                return lambda values=values: values() if callable(values) else values
        if name == "docs_count":
            return lambda: len(self.parts["docs"])
        raise AttributeError(name)


def with_text(row, text):
    return type(type(row).__name__, (type(row),), {"default_text": lambda self: text})(*row)


def install(monkeypatch, load) -> None:
    library = SimpleNamespace(load=load, registry=["beir/nfcorpus/test", "vaswani"])
    monkeypatch.setitem(sys.modules, "ir_datasets", library)


@pytest.fixture
def made(monkeypatch):
    """A data set of two queries and two documents by the name of irds:vaswani."""
    queries = [with_text(Query(n, t), t) for n, t in (("1", "graph   walk"), ("2", "beam\ud800"))]
    documents = [with_text(Document(f"d{n}", f"T{n}", f"text {n}"), f"default {n}") for n in (1, 2)]
    judgements = [Judgement("1", "d1", 2), Judgement("1", "d2", 0), Judgement("2", "d1", 1)]
    dataset = Made(queries=queries, qrels=judgements, docs=documents)

    def load(name: str) -> Made:
        if name not in ("vaswani", "msmarco-passage"):
            raise KeyError(name)
        return dataset

    install(monkeypatch, load)
    return dataset


def test_everything_of_a_data_set(made) -> None:
    assert load_topics("irds:vaswani").items == [("1", "graph walk"), ("2", "beam\ufffd")]
    assert load_qrels("irds:vaswani").judgements == {"1": {"d1": 2, "d2": 0}, "2": {"d1": 1}}
    collection = Collection("irds:vaswani")
    assert [(d.docid, d.contents, d.line) for d in collection] == [
        ("d1", "default 1", 1),
        ("d2", "default 2", 2),
    ]
    assert [d.docid for d in collection.read(1)] == ["d2"]
    assert (collection.total_documents, collection.total_bytes) == (2, None)
    named = Collection("msmarco-v1-passage", fields=["title", "text"])
    assert [d.contents for d in named] == ["T1 text 1", "T2 text 2"]


def test_names_and_fields_that_are_not_there(made) -> None:
    with pytest.raises(TopicsError, match=r"no vaswan: did you mean irds:vaswani\?"):
        load_topics("irds:vaswan")
    with pytest.raises(CollectionError, match=r"document 1: none of the chosen fields body"):
        list(Collection("irds:vaswani", fields=["body"]))
    made.parts["queries"] = None
    with pytest.raises(TopicsError, match=r"has no queries in ir_datasets: choose one of its"):
        load_topics("irds:vaswani")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([with_text(Query("a b", ""), "x")], "query 1: the id 'a b' contains white space"),
        ([with_text(Query("1", ""), None)], "query 1: it has no text"),
        ([with_text(Query(None, ""), "x")], "query 1: the id is not a string"),
    ],
)
def test_queries_that_cannot_be_used(made, rows, message: str) -> None:
    made.parts["queries"] = rows
    with pytest.raises(TopicsError, match=message):
        load_topics("irds:vaswani")


# As the library, requests and its parsers raise when there is no web, or when a file is damaged.
FAULTS = [
    RuntimeError("All download sources failed", ["ConnectionError(...)" * 99]),
    OSError(101, "Network is unreachable"),
    ValueError("hash mismatch"),
    EOFError("Compressed file ended"),
    KeyError("doc_id"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ModuleNotFoundError("No module named 'ijson'"),
    AttributeError("'NoneType' object has no attribute 'text'"),
    RuntimeError("x" * 5000 + "\n" + "y" * 5000),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("when", ["load", "first", "later"])
def test_what_cannot_be_obtained_is_one_sentence(monkeypatch, fault, when: str) -> None:
    def broken():
        if when == "later":
            yield from later
        raise fault

    def load(name: str) -> Made:
        if when == "load":
            raise fault
        return Made(queries=broken, qrels=broken, docs=broken)

    install(monkeypatch, load)
    for error, rows, read in (
        (TopicsError, [with_text(Query("1", "x"), "x")], load_topics),
        (RunError, [Judgement("1", "d", 1)], load_qrels),
        (CollectionError, [with_text(Document("1", "", ""), "x")], lambda n: list(Collection(n))),
    ):
        later = rows
        if when == "load" and isinstance(fault, KeyError):
            continue  # how the library says that it does not know a name
        with pytest.raises(error, match="irds:vaswani cannot be obtained by ir_datasets") as caught:
            read("irds:vaswani")
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)


def test_without_ir_datasets_one_is_told_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(TopicsError, match=r"hypserini\[datasets\]"):
        load_topics("irds:beir/nfcorpus/test")
    with pytest.raises(RunError, match=r"hypserini\[datasets\]"):
        load_qrels("irds:beir/nfcorpus/test")
    with pytest.raises(CollectionError, match=r"hypserini\[datasets\].*collection\.tsv"):
        Collection("irds:beir/nfcorpus")


def test_the_library_itself(tmp_path) -> None:
    ir_datasets = pytest.importorskip("ir_datasets", reason="pip install 'hypserini[datasets]'")
    (tmp_path / "queries.tsv").write_text("1\tgraph   walk\n2\tbeam\n")
    (tmp_path / "docs.tsv").write_text("d1\ttext\n")
    (tmp_path / "qrels.txt").write_text("1 0 d1 2\n1 0 d2 0\n2 0 d1 1\n")
    dataset = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels.txt"),
    )
    if "hypserini/made" not in ir_datasets.registry:
        ir_datasets.registry.register("hypserini/made", dataset)
    assert load_topics("irds:hypserini/made").items == [("1", "graph walk"), ("2", "beam")]
    assert load_qrels("irds:hypserini/made").judgements["1"] == {"d1": 2, "d2": 0}
    assert [d.contents for d in Collection("irds:hypserini/made")] == ["text"]
    with pytest.raises(TopicsError, match="irds:hypserini/made"):
        load_topics("irds:hypserini/mad")
