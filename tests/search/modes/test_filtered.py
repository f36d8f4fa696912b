"""Approximate search under filters with budgets that bind: nothing here is searched exhaustively.

Deleted documents lie in every segment; a filter lets through 1, 10, 50 or 90 % of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from rankings import pairs, scores_like

from hypserini import LuceneHypencoderSearcher
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet, QNetConfig
from hypserini.search.filters import Filter
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.tangent import TangentOptions

DIM, DOCS, K = 12, 8000, 10
SHARES = (1, 10, 50, 90)

KINDS = {
    "tangent, few": (TangentOptions(max_scored=60), 0.4),
    "tangent": (TangentOptions(fetch=100, rounds=4, max_scored=500), 0.9),
    "graph, few": (GraphOptions("tangent", 20, 8, max_scored=60), 0.4),
    "graph": (GraphOptions("tangent", 200, 16, max_scored=500), 0.8),
    "graph, random": (GraphOptions("random", 200, 32, 40, patience=9, max_scored=2500), 0.8),
    "graph, layer": (GraphOptions("layer", 200, 32, 40, patience=9, max_scored=2500), 0.8),
    "graph, bm25": (GraphOptions("bm25", 200, 32, 40, patience=9, max_scored=2500), 0.8),
}
"""Options, and the overlap with exhaustive search that they reach at least.

The budgets are below all filters but the narrowest ones, for which they are one document less.
"""


def docid(number: int) -> str:
    return f"d{number:04}"


def share_of(number: int) -> int:
    """Where a document stands, 0 to 99: a filter of 10 % lets those below 10 through."""
    return number * 37 % 101 % 100


@pytest.fixture(scope="module", params=[1, 5])
def searcher(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LuceneHypencoderSearcher]:
    """Documents in clusters, each text with a word for its place; every seventh is deleted."""
    rng = np.random.default_rng(4)
    centres = rng.standard_normal((60, DIM))
    rows = centres[rng.integers(60, size=DOCS)] + 0.5 * rng.standard_normal((DOCS, DIM))
    path = tmp_path_factory.mktemp("filtered") / "index"
    with IndexWriter(path, dimension=DIM) as writer:
        for part in np.array_split(np.arange(DOCS), request.param):
            texts = [f"all place{share_of(i):02} some{i % 50}" for i in part]
            writer.add([docid(i) for i in part], rows[part].astype("f4"), texts, texts)
            writer.commit({})
        writer.delete([docid(i) for i in range(0, DOCS, 7)])
        writer.commit({})
    with LuceneHypencoderSearcher(path, device="cpu") as opened:
        opened._query_side._encoder = TextlessEncoder()
        yield opened


class TextlessEncoder:
    """The q-net of the query `all someN` is number N: the text is there for BM25."""

    class model:
        device = torch.device("cpu")

    def __init__(self, queries: int = 4) -> None:
        generator = torch.Generator().manual_seed(1)
        config = QNetConfig((DIM, DIM, DIM, 1), do_residual_on_last=True)
        matrices = [
            torch.randn(queries, *shape, generator=generator) * DIM**-0.5
            for shape in config.matrix_shapes
        ]
        biases = [torch.randn(queries, n, generator=generator) for n in config.vector_sizes]
        self.q_net = QNet(config, matrices, biases)

    def encode(self, texts: list[str]) -> QNet:
        return self.q_net[[int(text.rpartition("some")[2]) for text in texts]]


def rank(searcher: LuceneHypencoderSearcher, mode: str, options=None, filter=None, k: int = K):
    queries = [f"all some{i}" for i in range(4)]
    return searcher.batch_search(queries, queries, k, mode=mode, options=options, filter=filter)


@pytest.fixture(scope="module")
def everything(searcher: LuceneHypencoderSearcher) -> dict[str, dict[str, float]]:
    """The scores of all documents for each query."""
    exact = rank(searcher, "exhaustive", k=DOCS)
    return {qid: dict(pairs(hits)) for qid, hits in exact.items()}


def passing(share: int) -> set[str]:
    return {docid(i) for i in range(DOCS) if share_of(i) < share and i % 7}


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_binds_and_so_does_the_budget(
    searcher: LuceneHypencoderSearcher, everything, kind: str, share: int
) -> None:
    options, least = KINDS[kind]
    count = len(passing(share))
    options = replace(options, max_scored=min(options.max_scored, count - 1))
    mode = "tangent" if isinstance(options, TangentOptions) else "graph"
    wanted = passing(share)
    # By a query and by docids, of which some do not exist or are deleted.
    by_query = f"contents:[place00 TO place{share - 1:02}]"
    filters = {
        "query": Filter.matching(searcher.index, by_query),
        "docids": Filter.listed(searcher.index, [*wanted, docid(0), "nobody"]),
    }
    found = {}
    for name, filter in filters.items():
        assert filter.count == count
        found[name] = rank(searcher, mode, options, filter)
    overlaps = []
    for qid, hits in found["query"].items():
        assert pairs(hits) == pairs(found["docids"][qid])
        scores = {docid: score for docid, score in everything[qid].items() if docid in wanted}
        assert {hit.docid for hit in hits} <= wanted
        assert len({hit.docid for hit in hits}) == len(hits) == K
        expected = {hit.docid: scores[hit.docid] for hit in hits}
        assert dict(pairs(hits)) == scores_like(expected, scores.values())
        assert hits.cost.mode == mode
        assert hits.cost.evaluations <= options.max_scored
        best = set(sorted(scores, key=scores.__getitem__)[-K:])
        overlaps.append(len(best & {hit.docid for hit in hits}) / K)
    assert np.mean(overlaps) >= least


@pytest.mark.parametrize("share", SHARES)
def test_every_document_of_a_filter_is_handed_out_once(
    searcher: LuceneHypencoderSearcher, share: int
) -> None:
    from hypserini.search.modes.tangent import Nearest

    index = searcher.index
    rng = np.random.default_rng(share)
    filter = Filter.listed(index, passing(share))
    seen: list[int] = []
    with Nearest(index, k=5, block=256, filter=filter) as nearest:
        while True:
            nearest.direction[:] = torch.from_numpy(rng.standard_normal(DIM, dtype=np.float32))
            n = nearest.fetch(256, 300 if not seen else 256)
            if not n:
                break
            seen += nearest.ordinals[:n].tolist()
            nearest.accept(n, torch.zeros(1, n))
    assert len(seen) == len(set(seen)) == filter.count == len(passing(share))


def test_bm25_entries_are_as_many_as_asked_for_under_a_filter(
    searcher: LuceneHypencoderSearcher,
) -> None:
    """Beyond the few documents with `some1`, all tie in `all`, and the first do not pass."""
    late = {docid(i) for i in range(DOCS // 5, DOCS) if i % 7}
    options = GraphOptions("bm25", num_entry_points=150, ncandidates=1, max_iter=1)
    hits = searcher.search("all some1", 150, mode="graph", options=options, filter=late)
    assert hits.cost.evaluations == 150
    assert {hit.docid for hit in hits} <= late
