"""Numbers out of range: a ValueError of the search, or as much as there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
from hypserini.index.writer import IndexWriter
from hypserini.search.bm25 import Bm25, Bm25Options
from hypserini.search.hybrid import HybridOptions, fuse
from hypserini.search.modes.auto import AutoOptions
from hypserini.search.modes.exhaustive import ExhaustiveOptions
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.rerank import RerankOptions
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.passages import MaxPassage

HUGE = (3_000_000_000, 2**31 - 1, 10**30)


@pytest.fixture(scope="module")
def searcher(index: Path):
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        yield searcher


@pytest.mark.parametrize("k", HUGE)
@pytest.mark.parametrize("mode", ["auto", "exhaustive", "tangent", "graph"])
def test_more_hits_than_documents_are_all_documents(searcher, mode: str, k: int) -> None:
    assert len(searcher.search("graph walk", k, mode=mode)) == 400


@pytest.mark.parametrize("k", HUGE)
def test_more_than_there_is_to_rerank_or_to_find_by_words(searcher, index: Path, k: int) -> None:
    given = ["doc0001", "nowhere", "doc0002"]
    assert len(searcher.rerank("graph walk", given, k)) == 3
    found = searcher.search("graph walk", k)
    with Bm25(index) as bm25:
        words = bm25.search("graph", k)
        assert 0 < len(words) < 400
        assert len(fuse([words], [found], k, HybridOptions())[0]) >= len(words)


@pytest.fixture(scope="module")
def with_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of so many vectors that Lucene 10 makes a graph, too."""
    path = tmp_path_factory.mktemp("graph") / "index"
    vectors = np.random.default_rng(0).normal(size=(12_000, 32)).astype("f4")
    with IndexWriter(path, dimension=32) as writer:
        writer.add([str(number) for number in range(len(vectors))], vectors)
    return path


@pytest.mark.parametrize("much", HUGE)
def test_more_than_there_is_to_rerank_adaptively(with_graph, tiny_model: Path, much: int) -> None:
    given = GivenRankings({"q": ["7", "nowhere", "8"]})
    options = RerankOptions(given, adaptive=True, budget=much, turn=much)
    with LuceneHypencoderSearcher(with_graph, str(tiny_model), device="cpu") as searcher:
        found = searcher.batch_search(["graph"], ["q"], much, mode="rerank", options=options)["q"]
    assert {hit.docid for hit in found} >= {"7", "nowhere", "8"}
    assert len(found) > 10


@pytest.mark.parametrize("much", HUGE)
@pytest.mark.parametrize(
    ("mode", "option"),
    [
        ("exhaustive", lambda n: ExhaustiveOptions(block=n)),
        ("tangent", lambda n: TangentOptions(fetch=n)),
        ("tangent", lambda n: TangentOptions(fetch=n, max_scored=100)),
        ("tangent", lambda n: TangentOptions(fetch=64, ef=n, max_scored=200)),
        ("tangent", lambda n: TangentOptions(fetch=64, rounds=n, max_scored=200)),
        ("graph", lambda n: GraphOptions(num_entry_points=n, max_scored=200)),
        ("graph", lambda n: GraphOptions(ncandidates=n, max_scored=200)),
        ("graph", lambda n: GraphOptions(max_iter=n, patience=n)),
        ("graph", lambda n: GraphOptions("random", num_entry_points=n, max_scored=n)),
    ],
)
def test_more_than_an_index_has_is_all_of_it(searcher, mode, option, much) -> None:
    hits = searcher.search("graph walk", 5, mode=mode, options=option(much))
    assert len(hits) == 5
    assert hits.cost.evaluations <= 400 + 48


NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    "make",
    [
        lambda: TangentOptions(fetch=0),
        lambda: TangentOptions(ef=-1),
        lambda: TangentOptions(rounds=0),
        lambda: TangentOptions(max_scored=0),
        lambda: TangentOptions(stable=-1.01),
        lambda: TangentOptions(stable=1.01),
        lambda: TangentOptions(stable=NOT_A_NUMBER),
        lambda: GraphOptions(num_entry_points=0),
        lambda: GraphOptions(max_iter=-1),
        lambda: GraphOptions(patience=0),
        lambda: GraphOptions(seed=-1),
        lambda: GraphOptions(seed=2**63),
        lambda: ExhaustiveOptions(block=0),
        lambda: RerankOptions(budget=0),
        lambda: RerankOptions(turn=-1),
        lambda: Bm25Options(k1=-1, b=0.4),
        lambda: Bm25Options(k1=1e39, b=0.4),
        lambda: Bm25Options(k1=0.9, b=2),
        lambda: Bm25Options(k1=NOT_A_NUMBER, b=0.4),
        lambda: Bm25Options(rm3=True, fb_docs=0),
        lambda: Bm25Options(rm3=True, fb_terms=3_000_000_000),
        lambda: Bm25Options(rm3=True, original_query_weight=1.5),
        lambda: HybridOptions(alpha=1.7),
        lambda: HybridOptions(alpha=-0.1),
        lambda: HybridOptions(rrf_k=0),
        lambda: MaxPassage(hits=0),
        lambda: MaxPassage(delimiter=""),
    ],
)
def test_what_means_nothing_is_a_value_error(make) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        make()


def test_of_a_searcher_too(searcher, index: Path) -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="k is"):
            searcher.search("graph", wrong)
        with pytest.raises(ValueError, match="k is"):
            searcher.rerank("graph", ["doc0001"], wrong)
        with pytest.raises(ValueError, match="threads is"):
            searcher.batch_search(["graph"], ["1"], 5, wrong)
        with pytest.raises(ValueError, match="batch_size is"):
            LuceneHypencoderSearcher(index, batch_size=wrong)
        with Bm25(index) as bm25, pytest.raises(ValueError, match="k is"):
            bm25.search("graph", wrong)


def test_a_budget_that_is_gone_before_the_search_begins_is_told_of(searcher) -> None:
    with pytest.raises(IndexingError, match="scores 48 documents to know where to look"):
        searcher.search("graph", 5, mode="tangent", options=TangentOptions(max_scored=48))
    with pytest.raises(IndexingError, match=r"may score 1 in all: allow more \(--max-scored\)"):
        searcher.search("graph", 5, mode="graph", options=GraphOptions(max_scored=1))
    auto = AutoOptions(TangentOptions(max_scored=60))
    assert searcher.search("graph", 5, mode="auto", options=auto).cost.evaluations <= 60
    options = TangentOptions(max_scored=49)
    assert len(searcher.search("graph", 5, mode="tangent", options=options)) == 5
