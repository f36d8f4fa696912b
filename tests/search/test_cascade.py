"""q-nets of nested sizes: chosen at a search, and the small ones before the whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hypserini.encode import QueryEncoder
from hypserini.errors import ModelError
from hypserini.formats.runs import read_run
from hypserini.modeling import load_model
from hypserini.modeling.nested import shortened
from hypserini.search.__main__ import main
from hypserini.search.cascade import Cascade
from hypserini.search.searcher import LuceneHypencoderSearcher


def _search(index: Path, model: Path, queries: list[str], k: int, **how: object) -> dict:
    with LuceneHypencoderSearcher(index, str(model), device="cpu", **how) as searcher:
        found = searcher.batch_search(queries, queries, k)
        return {q: ([h.docid for h in hits], hits.cost) for q, hits in found.items()}


def test_a_size_is_the_first_blocks_and_the_output(nested_model: Path, topics) -> None:
    model = load_model(nested_model, device="cpu")
    texts = list(topics.values())
    whole, small = QueryEncoder(model).encode(texts), QueryEncoder(model, blocks=1).encode(texts)
    assert len(small.config.vector_sizes) == 1
    x = torch.randn(7, model.dim, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(small(x), shortened(whole, 1)(x), atol=1e-5)
    assert not torch.allclose(small(x), whole(x), atol=1e-2)


def test_a_search_takes_a_size_or_two(index: Path, nested_model: Path, topics) -> None:
    queries = list(topics.values())
    how = {"mode": "exhaustive"}
    whole = _search(index, nested_model, queries, 10, **how)
    small = _search(index, nested_model, queries, 10, q_net_size=1, **how)
    # What the small ones hand on decides: all of it, or next to nothing.
    all_of_it = _search(index, nested_model, queries, 10, cascade=Cascade(1, 400), **how)
    little = _search(index, nested_model, queries, 10, cascade=Cascade(1, 10), **how)
    for query in queries:
        assert all_of_it[query][0] == whole[query][0]
        assert set(little[query][0]) == set(small[query][0])
        assert all_of_it[query][1].evaluations == 800
    assert any(whole[query][0] != small[query][0] for query in queries)
    with LuceneHypencoderSearcher(
        index, str(nested_model), device="cpu", cascade=Cascade(1, 10)
    ) as searcher:  # what `--check` compares with
        for query in queries:
            exact = searcher.search(query, 10, mode="exhaustive")
            assert [hit.docid for hit in exact] == whole[query][0]


def test_the_command_has_both(index: Path, nested_model: Path, topics_file: Path, tmp_path) -> None:
    runs = {}
    sizes: dict[str, list[str]] = {
        "whole": [],
        "small": ["--q-net-size", "1"],
        "both": ["--cascade", "1"],
    }
    for name, flags in sizes.items():
        arguments = ["--index", index, "--topics", topics_file, "--output", tmp_path / name]
        arguments += ["--model", nested_model, "--mode", "exhaustive", "--hits", 200, "--quiet"]
        assert main([*map(str, arguments), *flags]) == 0
        run = read_run(tmp_path / name)
        runs[name] = {qid: [docid for docid, _ in hits] for qid, hits in run.items()}
    assert runs["both"] == runs["whole"] != runs["small"]


@pytest.mark.parametrize("how", [{"q_net_size": 0}, {"cascade": Cascade(0)}])
def test_a_size_that_was_not_trained_is_refused(index, nested_model, how) -> None:
    with pytest.raises(ModelError, match="q-nets of 1, 2 hidden blocks and none of 0"):
        _search(index, nested_model, ["a query"], 10, **how)
