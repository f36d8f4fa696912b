"""Reranking against the exhaustive ranking: the same scores, for the documents given alone."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make_documents, write_jsonl
from rankings import assert_same_ranking, pairs, scores_like
from segments import write_segments

from hypserini import LuceneHypencoderSearcher, load_model
from hypserini.encode import QueryEncoder
from hypserini.errors import IndexingError
from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.search.bm25 import Bm25
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.rerank import DocList, RerankOptions


@pytest.fixture(scope="module")
def searcher(index: Path):
    with LuceneHypencoderSearcher(index, device="cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def exhaustive(searcher, topics):
    return searcher.batch_search(list(topics.values()), list(topics), 400)


def test_given_documents_get_their_exhaustive_scores(searcher, topics, exhaustive, index) -> None:
    with Bm25(index) as bm25:
        first = bm25.batch_search(list(topics.values()), list(topics), 50)
    reranked = searcher.batch_rerank(list(topics.values()), list(topics), first)
    for qid, hits in reranked.items():
        given = {hit.docid for hit in first[qid]}
        expected = [pair for pair in pairs(exhaustive[qid]) if pair[0] in given]
        assert_same_ranking(hits, expected)
        assert hits.cost.evaluations == len(given) == 50
        assert hits.missing == []


def test_all_documents_give_the_exhaustive_ranking(searcher, topics, exhaustive) -> None:
    for qid, query in topics.items():
        backwards = sorted((hit.docid for hit in exhaustive[qid]), reverse=True)
        alone = searcher.search(query, 400)
        assert pairs(searcher.rerank(query, backwards)) == pairs(alone)
        assert dict(pairs(alone)) == scores_like(dict(pairs(exhaustive[qid])))


def test_hits_pairs_and_docids_are_taken_alike(searcher, topics) -> None:
    query = topics["1"]
    hits = searcher.search(query, 5)
    theirs = [SimpleNamespace(docid=f"{hit.docid} ", score=1.0) for hit in hits]
    docids = [hit.docid for hit in hits]
    for given in (theirs, docids, [(docid, 0.5) for docid in docids], iter(docids)):
        assert [hit.docid for hit in searcher.rerank(query, given)] == docids
    q_net = QueryEncoder(load_model(searcher.metadata.model, device="cpu")).encode([query])
    assert [h.docid for h in searcher.rerank(q_net, docids, 2)] == docids[:2]


def test_unknown_documents_come_last_in_their_order_or_not_at_all(searcher, topics) -> None:
    given = ["zz", "doc0003", "nowhere", "doc0001", "é"]
    hits = searcher.rerank(topics["1"], given)
    assert [hit.docid for hit in hits][2:] == ["zz", "nowhere", "é"]
    scores = [hit.score for hit in hits]
    assert scores == sorted(set(scores), reverse=True)  # a run keeps the order
    assert hits.missing == ["zz", "nowhere", "é"]
    assert hits.cost.evaluations == 2
    assert pairs(searcher.rerank(topics["1"], given, 3)) == pairs(hits)[:3]
    dropped = searcher.rerank(topics["1"], given, drop_missing=True)
    assert pairs(dropped) == pairs(hits)[:2]
    assert dropped.missing == hits.missing
    assert pairs(searcher.rerank(topics["1"], ["a", "b"])) == [("a", -1.0), ("b", -2.0)]
    assert searcher.rerank(topics["1"], []) == []


def test_a_filter_leaves_out_documents_that_are_not_missing(searcher, topics) -> None:
    options = RerankOptions(GivenRankings({"q": ["doc0001", "nowhere", "doc0002", "doc0003"]}))
    few = ["doc0002", "doc0003", "doc0004"]
    hits = searcher.search(topics["1"], 10, mode="rerank", options=options, filter=few)
    assert {hit.docid for hit in hits} == {"doc0002", "doc0003"}
    assert hits.missing == ["nowhere"]
    assert hits.cost.evaluations == 2


@pytest.fixture(scope="module")
def graph_index(tmp_path_factory, tiny_model: Path) -> Path:
    """An index large enough for Lucene 10 to make a graph."""
    folder = tmp_path_factory.mktemp("graph")
    documents = write_jsonl(folder / "corpus.jsonl", make_documents(3000, seed=1))
    options = IndexOptions(optimize=True)
    build_index(documents, folder / "index", str(tiny_model), options, progress=False)
    return folder / "index"


@pytest.fixture(scope="module")
def graph_searcher(graph_index: Path):
    with LuceneHypencoderSearcher(graph_index, device="cpu") as opened:
        yield opened


def adaptive(searcher, query, docids, k=400, **options):
    given = RerankOptions(GivenRankings({"q": docids}), adaptive=True, **options)
    return searcher.search(query, k, mode="rerank", options=given)


def test_adaptive_reranking_finds_what_the_first_stage_missed(
    graph_searcher, topics, graph_index
) -> None:
    found, missed = 0, 0
    for query in topics.values():
        best = [hit.docid for hit in graph_searcher.search(query, 10, mode="exhaustive")]
        with Bm25(graph_index) as bm25:
            given = [hit.docid for hit in bm25.search(query, 60)]
        missed += len(set(best) - set(given))
        hits = adaptive(graph_searcher, query, given, 3000, budget=600, turn=16)
        assert hits.cost.evaluations == 600
        found += len({hit.docid for hit in hits[:10]} & (set(best) - set(given)))
        assert set(given) <= {hit.docid for hit in hits}  # those unscored come last
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        expected = dict(pairs(graph_searcher.search(query, 3000, mode="exhaustive")))
        scored = dict(pairs(hits[:600]))
        assert scored == scores_like({d: expected[d] for d in scored}, expected.values())
    assert missed > 10
    assert found > missed / 2


def read_graph(path: Path) -> dict[str, list[str]]:
    """The neighbours of each document in an index of one segment, as Lucene's own reader has them.

    After them come those documents that hardly any edge leads to and that have an edge to it.
    """
    from jnius import cast

    from hypserini import jvm

    lucene = "org.apache.lucene."
    folder = jvm.java_class("java.nio.file.Paths").get(str(path))
    directory = jvm.java_class(lucene + "store.FSDirectory").open(folder)
    reader = jvm.java_class(lucene + "index.DirectoryReader").open(directory)
    assert reader.leaves().size() == 1
    segment = cast(lucene + "index.SegmentReader", reader.leaves().get(0).reader())
    fields = lucene + "codecs.perfield.PerFieldKnnVectorsFormat$FieldsReader"
    vectors = cast(fields, segment.getVectorReader()).getFieldReader("vector")
    graph = cast(lucene + "codecs.lucene99.Lucene99HnswVectorsReader", vectors).getGraph("vector")
    with Index(path) as index:
        docids = list(index.docids())
    edges: dict[str, list[str]] = {docid: [] for docid in docids}
    for node, docid in enumerate(docids):
        graph.seek(0, node)
        while (to := graph.nextNeighbor()) < len(docids):
            edges[docid].append(docids[to])
    reader.close()
    led_to = Counter(to for some in edges.values() for to in some)
    back: dict[str, list[str]] = {docid: [] for docid in docids}
    for docid in reversed(docids):
        if led_to[docid] < 3:
            for to in edges[docid]:
                back[to].append(docid)
    return {docid: edges[docid] + back[docid] for docid in docids}


def algorithm_1(
    ranking: list[str],
    neighbours: dict[str, list[str]],
    score: dict[str, float],
    batch: int,
    budget: int,
) -> tuple[set[str], list[str]]:
    """GAR as its paper has it: the documents that are scored, and those of the ranking left."""
    scored: set[str] = set()
    frontier: dict[str, tuple[float, int]] = {}
    from_ranking = True
    while len(scored) < budget and (ranking or frontier):
        pool = ranking if from_ranking else sorted(frontier, key=lambda d: frontier[d])[::-1]
        top = pool[: min(batch, budget - len(scored))]
        scored.update(top)
        ranking = [docid for docid in ranking if docid not in scored]
        for source in top:
            for place, docid in enumerate(neighbours[source]):
                # At the priority of one source, in the order of its neighbours.
                frontier[docid] = max(frontier.get(docid, (-1e9, 0)), (score[source], -place))
        frontier = {docid: how for docid, how in frontier.items() if docid not in scored}
        from_ranking = not from_ranking
    return scored, ranking


@pytest.mark.parametrize(
    ("given", "turn", "budget"), [(60, 16, 300), (200, 8, 150), (5, 64, 1000), (400, 16, 401)]
)
def test_adaptive_reranking_is_the_papers_algorithm(
    graph_searcher, graph_index, topics, given: int, turn: int, budget: int
) -> None:
    neighbours = read_graph(graph_index)
    for query in list(topics.values())[:4]:
        scores = dict(pairs(graph_searcher.search(query, 3000, mode="exhaustive")))
        with Bm25(graph_index) as bm25:
            ranking = [hit.docid for hit in bm25.search(query, given)]
        scored, left = algorithm_1(ranking, neighbours, scores, turn, budget)
        hits = adaptive(graph_searcher, query, ranking, 3000, budget=budget, turn=turn)
        docids = [hit.docid for hit in hits]
        assert hits.cost.evaluations == len(scored)
        assert set(docids[: len(scored)]) == scored
        assert docids[len(scored) :] == left
        assert scored - set(ranking)


def test_adaptive_reranking_keeps_to_its_budget_and_honours_filters(graph_searcher, topics) -> None:
    given = [f"doc{i:04}" for i in range(30)] + ["nowhere"]
    hits = adaptive(graph_searcher, topics["1"], given, budget=10, turn=4)
    assert hits.cost.evaluations == 10
    assert {hit.docid for hit in hits} >= set(given)
    assert hits.missing == ["nowhere"]
    everything = adaptive(graph_searcher, topics["1"], given, budget=5000)
    alone = graph_searcher.search(topics["1"], 3000, mode="exhaustive")
    assert dict(pairs(everything)[:-1]).keys() <= dict(pairs(alone)).keys()
    options = RerankOptions(GivenRankings({"q": given}), adaptive=True, budget=100)
    few = {f"doc{i:04}" for i in range(20, 50)}
    filtered = graph_searcher.search(topics["1"], 3000, mode="rerank", options=options, filter=few)
    assert {hit.docid for hit in filtered} <= few


def test_adaptive_reranking_needs_a_graph(tmp_path: Path, searcher, tiny_model: Path) -> None:
    with IndexWriter(tmp_path, dimension=32, vectors="flat") as writer:
        writer.add(["a"], np.ones((1, 32), dtype=np.float32))
    with LuceneHypencoderSearcher(tmp_path, str(tiny_model), device="cpu") as flat:
        with pytest.raises(IndexingError, match="no graph"):
            adaptive(flat, "graph", ["a"])


def test_a_docid_given_twice_counts_once_and_that_is_said(searcher, topics, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        hits = searcher.rerank(topics["1"], ["doc0001", "doc0002", "doc0001"])
    assert len(hits) == 2
    assert "1 docids" in caplog.text


def test_doc_list_finds_documents_over_segments_deletions_and_gaps(tmp_path: Path) -> None:
    rows = np.arange(600, dtype=np.float32).reshape(300, 2)
    ids = [f"d{i}" for i in range(300)]
    parts = np.array_split(np.arange(300), 4)
    path = tmp_path / "index"
    write_segments(path, [([ids[i] for i in part], rows[part]) for part in parts], dimension=2)
    with IndexWriter(path, dimension=2, append=True) as writer:
        writer.delete(["d7", "d250"])
        writer.add(["d7"], np.array([[-1.0, -2.0]], dtype=np.float32))
        writer.commit({})
    given = ["d299", "no", "d7", "d0", "d250", "d120", "d119", ""]
    with Index(path) as index, DocList(index, 2, 10, 3, given) as candidates:
        assert candidates.missing == [1, 4, 7]
        seen = []
        while n := candidates.next():
            seen += candidates.vectors[:n].tolist()
            candidates.accept(n, candidates.vectors[:n].T)
        expected = [rows[i].tolist() for i in (0, 119, 120, 299)]
        assert seen == [*expected, [-1.0, -2.0]]
        assert candidates.hits(0)[0] == ["d299", "d120", "d119", "d0", "d7"]
        assert candidates.hits(1)[1].tolist() == [599.0, 241.0, 239.0, 1.0, -2.0]


def test_documents_without_a_vector_are_missing(tmp_path: Path) -> None:
    from hypserini import jvm

    with IndexWriter(tmp_path, dimension=2) as writer:
        writer.add(["a", "b"], np.ones((2, 2), dtype=np.float32))
    fields = "org.apache.lucene.document."
    document = jvm.java_class(fields + "Document")()
    store = jvm.java_class(fields + "Field$Store").YES
    document.add(jvm.java_class(fields + "StringField")("id", "bare", store))
    value = jvm.java_class("org.apache.lucene.util.BytesRef")(b"bare")
    document.add(jvm.java_class(fields + "BinaryDocValuesField")("id", value))
    folder = jvm.java_class("java.nio.file.Paths").get(str(tmp_path))
    directory = jvm.java_class("org.apache.lucene.store.FSDirectory").open(folder)
    config = jvm.java_class("org.apache.lucene.index.IndexWriterConfig")()
    plain = jvm.java_class("org.apache.lucene.index.IndexWriter")(directory, config)
    plain.addDocument(document)
    plain.forceMerge(1)
    plain.close()
    with Index(tmp_path) as index, DocList(index, 1, 5, 5, ["bare", "b"]) as candidates:
        assert candidates.missing == [0]
        assert candidates.next() == 1
