"""Topics and judgements of ir_datasets by name."""

from __future__ import annotations

import sys

import pytest

from hypserini.errors import RunError, TopicsError
from hypserini.evaluate import load_qrels
from hypserini.formats.topics import load_topics


@pytest.fixture
def made(tmp_path):
    """A data set of two queries that ir_datasets knows by the name of hypserini/made."""
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
    return "irds:hypserini/made"


def test_queries_and_judgements_of_a_data_set(made) -> None:
    assert load_topics(made).items == [("1", "graph walk"), ("2", "beam")]
    assert load_qrels(made).judgements == {"1": {"d1": 2, "d2": 0}, "2": {"d1": 1}}
    with pytest.raises(TopicsError, match="irds:hypserini/made"):
        load_topics("irds:hypserini/mad")


def test_without_ir_datasets_one_is_told_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(TopicsError, match=r"hypserini\[datasets\]"):
        load_topics("irds:beir/nfcorpus/test")
    with pytest.raises(RunError, match=r"hypserini\[datasets\]"):
        load_qrels("irds:beir/nfcorpus/test")
