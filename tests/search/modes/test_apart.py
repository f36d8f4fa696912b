"""Queries of a batch, each searched on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from q_nets import random_q_nets
from rankings import assert_same_ranking

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet, QNetConfig
from hypserini.search.modes.graph import GraphOptions

DIM, DOCS, QUERIES = 160, 600, 5  # wide enough to be multiplied by threads that compute alone
CONFIG = QNetConfig((DIM, DIM, 1))


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuceneHypencoderSearcher]:
    folder = tmp_path_factory.mktemp("apart") / "index"
    vectors = np.random.default_rng(1).standard_normal((DOCS, DIM), dtype=np.float32)
    ids = [f"d{number:03}" for number in range(DOCS)]
    with IndexWriter(folder, dimension=DIM) as writer:
        writer.add(ids, vectors, ids)
        writer.commit({})
    with LuceneHypencoderSearcher(folder, device="cpu", batch_size=QUERIES) as opened:
        yield opened


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def q_nets() -> list[QNet]:
    return list(random_q_nets(CONFIG, QUERIES, seed=2))


@pytest.mark.parametrize(
    ("mode", "options"), [("tangent", None), ("graph", GraphOptions("tangent"))]
)
@pytest.mark.usefixtures("two_threads")
def test_a_batch_ranks_as_its_queries_alone(
    searcher: LuceneHypencoderSearcher, mode: str, options: GraphOptions | None
) -> None:
    qids = [str(number) for number in range(QUERIES)]
    found = searcher.batch_search(q_nets(), qids, 10, mode=mode, options=options)
    assert list(found) == qids
    for q_net, hits in zip(q_nets(), found.values(), strict=True):
        alone = searcher.search(q_net, 10, mode=mode, options=options)
        assert_same_ranking(hits, alone)
        assert hits.cost.evaluations == alone.cost.evaluations
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_query_that_fails_is_told_and_the_next_batch_searched(
    searcher: LuceneHypencoderSearcher,
) -> None:
    qids = [str(number) for number in range(QUERIES)]
    with pytest.raises(IndexingError, match="has no text to enter the graph by BM25"):
        searcher.batch_search(q_nets(), qids, mode="graph", options=GraphOptions("bm25"))
    assert searcher.batch_search(q_nets(), qids, mode="graph").keys() == set(qids)
