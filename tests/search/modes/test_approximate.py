"""Tangent search and the graph walk against exhaustive search, over every shape of index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rankings import assert_same_ranking, pairs, scores_like

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError, ModelError
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet, QNetConfig
from hypserini.search.filters import Filter
from hypserini.search.modes.graph import EFFICIENT_1, GraphOptions
from hypserini.search.modes.tangent import Nearest, TangentOptions

DIM, DOCS, K = 16, 900, 10
WORDS = "red green blue graph tree walk".split()

KINDS = {
    "tangent": ("tangent", TangentOptions()),
    "tangent over the graph": ("tangent", TangentOptions(fetch=64, ef=70, rounds=5)),
    "tangent by the format": ("tangent", TangentOptions(steering="format")),
    "random": ("graph", GraphOptions("random", num_entry_points=60)),
    "layer": ("graph", GraphOptions("layer", num_entry_points=60)),
    "tangent entry": ("graph", GraphOptions("tangent", num_entry_points=60)),
    "paper": ("graph", GraphOptions("random", 120, 16, 10, frontier="new")),
}
SHAPES = ("one", "many", "tiny", "flat", "deletions")


def docid(number: int) -> str:
    return f"d{number:04}"


def vectors() -> np.ndarray:
    """Clusters, as documents make them, and some that are equal."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((30, DIM))
    rows = centres[rng.integers(30, size=DOCS)] + 0.4 * rng.standard_normal((DOCS, DIM))
    rows[-20:] = rows[:20]
    return rows.astype(np.float32)


def q_nets(queries: int = 4, blocks: int = 2, seed: int = 5) -> list[QNet]:
    """Random q-nets with a residual: bent, but not so much that nothing leads anywhere."""
    generator = torch.Generator().manual_seed(seed)
    config = QNetConfig(vector_dimensions=(DIM,) * (blocks + 1) + (1,), do_residual_on_last=True)
    matrices = [
        torch.randn(queries, *shape, generator=generator) * DIM**-0.5
        for shape in config.matrix_shapes
    ]
    biases = [torch.randn(queries, size, generator=generator) for size in config.vector_sizes]
    q_net = QNet(config, matrices, biases)
    return [q_net[i] for i in range(queries)]


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One index a shape, with texts."""
    rows = vectors()
    ids = [docid(i) for i in range(DOCS)]
    texts = [f"{WORDS[i % 3]} {WORDS[3 + i % 2]} w{i}" for i in range(DOCS)]
    paths = {}
    for shape in SHAPES:
        paths[shape] = path = tmp_path_factory.mktemp("shapes") / shape
        kind = "flat" if shape == "flat" else "hnsw"
        parts = {"many": 4, "tiny": 60, "deletions": 2}.get(shape, 1)
        with IndexWriter(path, dimension=DIM, vectors=kind) as writer:
            for part in np.array_split(np.arange(DOCS), parts):
                chosen = slice(part[0], part[-1] + 1)
                writer.add(ids[chosen], rows[chosen], texts[chosen], texts[chosen])
                writer.commit({})
            if shape == "deletions":
                writer.delete([docid(i) for i in range(0, DOCS, 3)])
                writer.commit({})
    return paths


@pytest.fixture
def searcher(
    indexes: dict[str, Path], request: pytest.FixtureRequest
) -> Iterator[LuceneHypencoderSearcher]:
    with LuceneHypencoderSearcher(indexes[request.param]) as opened:
        yield opened


def rank(searcher: LuceneHypencoderSearcher, k: int, mode: str, options=None, filter=None):
    queries = q_nets()
    qids = [str(i) for i in range(len(queries))]
    how = {"mode": mode, "options": options, "filter": filter}
    return searcher.batch_search(queries, qids, k, **how)


def overlap(found, exact) -> float:
    ratios = [
        len({hit.docid for hit in found[qid]} & {hit.docid for hit in hits}) / len(hits)
        for qid, hits in exact.items()
    ]
    return float(np.mean(ratios))


def assert_same(found, exact) -> None:
    """The same documents at the same places, but for scores that differ by rounding."""
    for qid, hits in exact.items():
        assert_same_ranking(found[qid], hits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("searcher", SHAPES, indirect=True)
def test_hits_are_true_and_nearly_the_best(searcher: LuceneHypencoderSearcher, kind: str) -> None:
    mode, options = KINDS[kind]
    exact = rank(searcher, DOCS, "exhaustive")
    found = rank(searcher, K, mode, options)
    for qid, hits in found.items():
        scores = dict(pairs(exact[qid]))
        assert len(hits) == K == len({hit.docid for hit in hits})
        expected = {hit.docid: scores[hit.docid] for hit in hits}
        assert dict(pairs(hits)) == scores_like(expected, scores.values())
        assert pairs(hits) == sorted(pairs(hits), key=lambda pair: (-pair[1], pair[0]))
    best = {qid: hits[:K] for qid, hits in exact.items()}
    assert overlap(found, best) >= (0.8 if mode == "tangent" else 0.6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("searcher", SHAPES, indirect=True)
@pytest.mark.parametrize("k", [DOCS, 2 * DOCS])
def test_k_as_large_as_the_collection_gives_all_of_it(
    searcher: LuceneHypencoderSearcher, kind: str, k: int
) -> None:
    mode, options = KINDS[kind]
    exact = rank(searcher, k, "exhaustive")
    assert len(exact["0"]) == searcher.num_docs
    if mode == "tangent":
        options = TangentOptions()
    assert_same(rank(searcher, k, mode, options), exact)


@pytest.mark.parametrize("mode", ["tangent", "graph"])
@pytest.mark.parametrize("searcher", SHAPES, indirect=True)
def test_a_budget_of_everything_is_exactly_exhaustive(
    searcher: LuceneHypencoderSearcher, mode: str
) -> None:
    options = {"tangent": TangentOptions, "graph": GraphOptions}[mode](max_scored=DOCS)
    found, exact = rank(searcher, 50, mode, options), rank(searcher, 50, "exhaustive")
    assert {qid: pairs(hits) for qid, hits in found.items()} == {
        qid: pairs(hits) for qid, hits in exact.items()
    }


@pytest.mark.parametrize("kind", [*KINDS, "exhaustive"])
@pytest.mark.parametrize("searcher", SHAPES, indirect=True)
@pytest.mark.parametrize("left", [0, 1, K - 1])
def test_a_filter_may_leave_few_documents_or_none(
    searcher: LuceneHypencoderSearcher, kind: str, left: int
) -> None:
    mode, options = KINDS.get(kind, (kind, None))
    wanted = {docid(i) for i in range(1, DOCS, 97)[:left]} if left else {"nobody", docid(0)}
    if left == 0 and docid(0) in {hit.docid for hit in rank(searcher, DOCS, "exhaustive")["0"]}:
        wanted = {"nobody"}
    exact = {
        qid: [hit for hit in hits if hit.docid in wanted]
        for qid, hits in rank(searcher, DOCS, "exhaustive").items()
    }
    found = rank(searcher, K, mode, options, wanted)
    assert_same(found, exact)


@pytest.mark.parametrize("kind", [*KINDS, "exhaustive"])
@pytest.mark.parametrize("searcher", SHAPES, indirect=True)
def test_a_lucene_query_filters(searcher: LuceneHypencoderSearcher, kind: str) -> None:
    mode, options = KINDS.get(kind, (kind, None))
    passing = {docid(i) for i in range(DOCS) if i % 3 == 1 and i % 2 == 0}
    exact = {
        qid: [hit for hit in hits if hit.docid in passing][:K]
        for qid, hits in rank(searcher, DOCS, "exhaustive").items()
    }
    found = rank(searcher, K, mode, options, "green AND contents:graph")
    for hits in found.values():
        assert len(hits) == K
        assert {hit.docid for hit in hits} <= passing
    assert overlap(found, exact) >= 0.7


@pytest.mark.parametrize("searcher", ["one"], indirect=True)
def test_bm25_hits_are_entries(searcher: LuceneHypencoderSearcher, tiny_text_encoder) -> None:
    searcher._query_side._encoder = tiny_text_encoder
    options = GraphOptions("bm25", num_entry_points=5, ncandidates=1, max_iter=1)
    hits = searcher.search("tree w4 w7", 3, mode="graph", options=options)
    assert {hit.docid for hit in hits} <= {docid(i) for i in (4, 7, *range(1, DOCS, 2))}
    assert hits.cost.evaluations == 5
    assert docid(4) in {
        hit.docid for hit in searcher.search("w4", 1, mode="graph", options=options)
    }
    nothing = searcher.search("zzz", K, mode="graph", options=GraphOptions("bm25"))
    assert len(nothing) == K  # no hit: the walk enters at random
    with pytest.raises(IndexingError, match="text"):
        searcher.search(q_nets()[0], K, mode="graph", options=options)


@pytest.fixture
def tiny_text_encoder():
    """Encodes every text to the same q-net; what is tested is where the walk enters."""

    class Model:
        device = torch.device("cpu")

    class Encoder:
        model = Model()

        def encode(self, texts: list[str]) -> QNet:
            return QNet.cat([q_nets()[0] for _ in texts])

    return Encoder()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("searcher", ["one", "many"], indirect=True)
def test_rankings_do_not_depend_on_batches_or_threads(
    searcher: LuceneHypencoderSearcher, kind: str
) -> None:
    mode, options = KINDS[kind]
    queries = q_nets(6)
    qids = [str(i) for i in range(6)]
    how = {"mode": mode, "options": options}
    together = searcher.batch_search(queries, qids, K, **how)
    searcher.batch_size = 2
    threaded = searcher.batch_search(queries, qids, K, 3, **how)
    for qid, query in zip(qids, queries, strict=True):
        alone = searcher.search(query, K, **how)
        assert_same({qid: alone}, {qid: together[qid]})
        assert_same({qid: alone}, {qid: threaded[qid]})


@pytest.mark.parametrize("searcher", ["one"], indirect=True)
def test_a_seed_decides_on_the_random_entries(searcher: LuceneHypencoderSearcher) -> None:
    def found(seed: int) -> list[list[tuple[str, float]]]:
        options = GraphOptions("random", 20, 1, 1, seed=seed)
        return [pairs(hits) for hits in rank(searcher, K, "graph", options).values()]

    assert found(1) == found(1)
    assert found(1) != found(2)


@pytest.mark.parametrize("searcher", ["one", "flat", "many"], indirect=True)
def test_budgets_and_rounds_are_kept(searcher: LuceneHypencoderSearcher) -> None:
    for options in (TangentOptions(max_scored=77), GraphOptions("layer", max_scored=77)):
        mode = "tangent" if isinstance(options, TangentOptions) else "graph"
        for hits in rank(searcher, K, mode, options).values():
            assert K <= hits.cost.evaluations <= 77
            assert hits.cost.mode == mode
            assert hits.cost.fetch_ms > 0
            assert hits.cost.score_ms > 0
    options = TangentOptions(fetch=40, rounds=2, stable=-1.0)  # and 48 to know the direction
    for hits in rank(searcher, K, "tangent", options).values():
        assert (hits.cost.evaluations, hits.cost.rounds) == (128, 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ef", [1, 30, 10_000])
def test_every_document_is_handed_out_once(indexes: dict[str, Path], shape: str, ef: int) -> None:
    with Index(indexes[shape]) as index, Nearest(index, k=5, block=64) as nearest:
        seen: list[int] = []
        rng = np.random.default_rng(0)
        while True:
            nearest.direction[:] = torch.from_numpy(rng.standard_normal(DIM, dtype=np.float32))
            n = nearest.fetch(50, ef)
            if not n:
                break
            seen += nearest.ordinals[:n].tolist()
            nearest.accept(n, torch.zeros(1, n))
        assert len(seen) == len(set(seen)) == index.num_vectors == nearest.evaluations


@pytest.mark.parametrize("shape", SHAPES)
def test_a_wide_search_hands_out_the_largest_products(indexes: dict[str, Path], shape: str) -> None:
    direction = torch.from_numpy(np.random.default_rng(1).standard_normal(DIM).astype("f4"))
    with Index(indexes[shape]) as index:
        products = index.vectors(list(index.docids())) @ direction.numpy()
        with Nearest(index, k=5, block=64) as nearest:
            nearest.direction[:] = direction
            n = nearest.fetch(64, 400)
            found = nearest.vectors[:n] @ direction
        np.testing.assert_allclose(
            np.sort(found.numpy())[::-1], np.sort(products)[::-1][:64], rtol=1e-4
        )


@pytest.mark.parametrize("searcher", ["one"], indirect=True)
def test_custom_q_nets_are_steered_by_autograd(searcher: LuceneHypencoderSearcher) -> None:
    class Sharp(QNet):
        def forward(self, x: torch.Tensor, training: bool) -> torch.Tensor:
            return torch.tanh(super().forward(x, training) / 10)

    plain = q_nets()[0]
    query = Sharp(plain.config, plain.matrices, plain.vectors)
    exact = searcher.search(query, K, mode="exhaustive")
    found = searcher.search(query, K, mode="tangent")
    assert len({h.docid for h in found} & {h.docid for h in exact}) >= 0.9 * K


@pytest.mark.parametrize("searcher", ["many"], indirect=True)
def test_a_score_that_is_no_number_names_the_query(searcher: LuceneHypencoderSearcher) -> None:
    class Broken(QNet):
        def forward(self, x: torch.Tensor, training: bool) -> torch.Tensor:
            return super().forward(x, training) * float("nan")

    bad = Broken(q_nets()[0].config, q_nets()[0].matrices, q_nets()[0].vectors)
    for mode in ("tangent", "graph"):
        with pytest.raises(ModelError, match="query number 1 of the batch"):
            searcher.search(bad, K, mode=mode)


@pytest.mark.parametrize("searcher", ["one"], indirect=True)
def test_auto_is_exhaustive_for_few_documents(searcher: LuceneHypencoderSearcher) -> None:
    from hypserini.search.modes.auto import AutoOptions

    assert rank(searcher, K, "auto")["0"].cost.mode == "exhaustive"
    assert rank(searcher, K, "auto", AutoOptions(quick_ms=0))["0"].cost.mode == "tangent" or (
        TangentOptions().follow(K).max_scored >= DOCS
    )


@pytest.mark.parametrize("searcher", ["one"], indirect=True)
def test_what_cannot_be_searched_is_refused(
    searcher: LuceneHypencoderSearcher, indexes: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(IndexingError, match="Lucene"):
        rank(searcher, K, "exhaustive", filter="a AND (b")
    with Index(indexes["many"]) as other:
        foreign = Filter.listed(other, ["d0001"])
        with pytest.raises(IndexingError, match="make it anew"):
            rank(searcher, K, "tangent", filter=foreign)
    with pytest.raises(ValueError, match="entry"):
        GraphOptions("nowhere")
    listed = tmp_path / "docids.txt"
    listed.write_text("d0003\n\nd0005\n")
    hits = rank(searcher, K, "exhaustive", filter=str(listed))["0"]
    assert {hit.docid for hit in hits} == {"d0003", "d0005"}


def test_an_empty_index_has_no_hits(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        writer.commit({})
    with Index(tmp_path) as index:
        assert index.num_vectors == 0
        assert len(index.some_vectors) == 0


def test_the_papers_settings_are_there() -> None:
    assert (EFFICIENT_1.num_entry_points, EFFICIENT_1.ncandidates) == (10_000, 64)
    assert (EFFICIENT_1.max_iter, EFFICIENT_1.entry) == (16, "random")
