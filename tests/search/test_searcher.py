"""The searcher against a brute-force ranking over the same vectors."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_model
from rankings import assert_same_ranking
from segments import write_segments

from hypserini import LuceneHypencoderSearcher, load_model
from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.errors import IndexingError
from hypserini.index.build import build_index
from hypserini.index.writer import IndexWriter
from hypserini.search import query_side
from hypserini.search.index_encoder import load_encoder
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.scorer import QNetScorer


def brute_force(model, queries: list[str], docids: list[str], vectors: np.ndarray):
    """All documents by score of torch's plain forward, ties by docid."""
    scores = QueryEncoder(model).encode(queries)(torch.from_numpy(vectors)).detach().numpy()
    return [sorted(zip(docids, row, strict=True), key=lambda x: (-x[1], x[0])) for row in scores]


@pytest.fixture(scope="module")
def encoded(tiny_model: Path, collection: Path):
    """The made collection's docids and vectors, and the model that made them."""
    model = load_model(str(tiny_model), device="cpu")
    documents = [json.loads(line) for line in collection.read_text().splitlines()]
    vectors = DocumentEncoder(model).encode([document["contents"] for document in documents])
    return model, [document["id"] for document in documents], vectors


@pytest.mark.parametrize("k", [1, 10, 400, 1000])
def test_the_ranking_is_that_of_brute_force(index: Path, topics, encoded, k: int) -> None:
    model, docids, vectors = encoded
    queries = list(topics.values())
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        rankings = searcher.batch_search(queries, list(topics), k)
    for qid, expected in zip(topics, brute_force(model, queries, docids, vectors), strict=True):
        assert_same_ranking(rankings[qid], expected[:k])


def test_one_query_alone_ranks_as_in_a_batch_and_with_threads(index: Path, topics) -> None:
    queries, qids = list(topics.values()), list(topics)
    with LuceneHypencoderSearcher(index, device="cpu", batch_size=3) as searcher:
        batched = searcher.batch_search(queries, qids, 20)
        threaded = searcher.batch_search(queries, qids, 20, 3)
        for qid, query in topics.items():
            alone = searcher.search(query, 20)
            for other in (batched[qid], threaded[qid]):
                assert_same_ranking(other, alone)


@pytest.mark.parametrize("threads", [1, 3])
def test_who_takes_a_few_rankings_has_the_others_not_searched(
    index: Path, encoded, threads: int
) -> None:
    model, _, _ = encoded
    encode, prepared = QueryEncoder(model).encode, []

    class Counting:
        def __init__(self) -> None:
            self.model = model

        def encode(self, texts: list[str]):
            prepared.extend(texts)
            return encode(texts)

    with LuceneHypencoderSearcher(index, model, device="cpu", batch_size=2) as searcher:
        searcher._query_side._encoder = Counting()
        queries = [f"graph walk {i}" for i in range(1000)]
        cores = torch.get_num_threads()
        rankings = searcher.stream_search(queries, queries, 3, threads)
        assert [qid for qid, _ in islice(rankings, 4)] == queries[:4]
        rankings.close()
        assert len(prepared) <= 4 + 2 * 2 * threads
        assert torch.get_num_threads() == cores


def test_threads_load_one_model(index: Path, tiny_model: Path, monkeypatch) -> None:
    loaded = []

    def load(*given, **how):
        loaded.append(given)
        time.sleep(0.2)
        return load_encoder(*given, **how)

    monkeypatch.setattr(query_side, "load_encoder", load)
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda query: searcher.search(query, 3), ["graph walk"] * 3))
    assert len(loaded) == 1
    assert found[0] == found[1] == found[2]


def test_a_model_that_is_loaded_here_leaves_all_gpus_to_the_documents(
    index: Path, encoded, monkeypatch
) -> None:
    model, _, _ = encoded
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        side = searcher._query_side
        q_net = side.encoder.encode(["graph walk"])
        monkeypatch.setattr(query_side, "choose_device", lambda name: torch.device("cuda"))
        assert side.device_for(q_net) == torch.device("cuda")
    with LuceneHypencoderSearcher(index, model) as searcher:
        assert searcher.encoder.model is model
        assert searcher._query_side.device_for(q_net) == torch.device("cpu")


def test_q_nets_are_scored_on_the_device_asked_for(index: Path, encoded, monkeypatch) -> None:
    """Given q-nets, no encoder is there to say where; `meta` is a device that every torch has."""
    model, _, _ = encoded
    q_net = QueryEncoder(model).encode(["graph walk"])
    used = []

    class Scorer(QNetScorer):
        def __init__(self, q_net, *, device, dtype, field) -> None:
            used.append(torch.device(device).type)
            super().__init__(q_net, device="cpu", dtype=dtype)

    monkeypatch.setattr("hypserini.search.searcher.QNetScorer", Scorer)
    monkeypatch.setattr("hypserini.search.query_side.choose_device", torch.device)
    for device in ("cpu", "meta"):
        with LuceneHypencoderSearcher(index, device=device) as searcher:
            searcher.search(q_net, 3)
    assert used == ["cpu", "meta"]


@pytest.mark.parametrize("mode", ["exhaustive", "tangent", "graph"])
def test_more_than_there_is_may_be_asked_for(index: Path, encoded, mode: str) -> None:
    model, docids, _ = encoded
    q_net = QueryEncoder(model).encode(["graph walk"])
    huge = 3_000_000_000
    options = {
        "tangent": [TangentOptions(fetch=huge), TangentOptions(ef=huge, rounds=huge)],
        "graph": [
            GraphOptions("layer", huge, huge, huge, patience=huge, max_scored=huge),
            GraphOptions("random", huge),
        ],
    }
    with LuceneHypencoderSearcher(index, model, device="cpu") as searcher:
        for one in options.get(mode, [None]):
            hits = searcher.search(q_net, huge, mode=mode, options=one)
            assert {hit.docid for hit in hits} == set(docids)


def test_segments_and_deletions_are_honoured(tmp_path: Path, topics, encoded) -> None:
    model, docids, vectors = encoded
    path = tmp_path / "index"
    deleted = set(docids[::3])
    parts = []
    for start in range(0, len(docids), 90):
        chunk = slice(start, start + 90)
        texts = ["some text"] * len(docids[chunk])
        parts.append((docids[chunk], vectors[chunk], texts, texts))
    write_segments(path, parts, dimension=model.dim)
    with IndexWriter(path, dimension=model.dim, append=True) as writer:
        writer.delete(sorted(deleted))
        writer.commit({})
    kept = [i for i, docid in enumerate(docids) if docid not in deleted]
    queries = list(topics.values())
    expected = brute_force(model, queries, [docids[i] for i in kept], vectors[kept])
    with LuceneHypencoderSearcher(path, model, device="cpu") as searcher:
        assert searcher.num_docs == len(kept)
        rankings = searcher.batch_search(queries, list(topics), len(docids))
    for qid, ranking in zip(topics, expected, strict=True):
        assert_same_ranking(rankings[qid], ranking)


def test_equal_scores_are_ordered_by_docid(tmp_path: Path, encoded) -> None:
    model, _, vectors = encoded
    docids = ["b2", "a10", "c", "a1", "a9"]
    with IndexWriter(tmp_path / "index", dimension=model.dim) as writer:
        writer.add(docids[:3], np.repeat(vectors[:1], 3, axis=0))
        writer.commit({})
        writer.add(docids[3:], np.repeat(vectors[:1], 2, axis=0))
        writer.commit({})
    with LuceneHypencoderSearcher(tmp_path / "index", model, device="cpu") as searcher:
        for k in (5, 3, 1):
            hits = searcher.search("graph walk", k)
            assert [hit.docid for hit in hits] == ["a1", "a10", "a9", "b2", "c"][:k]


def test_cacm_is_ranked_as_by_brute_force(tmp_path: Path, cacm: Path) -> None:
    from hypserini.defaults import BUNDLED_MODEL
    from hypserini.index.build import build_index

    model = load_model(BUNDLED_MODEL, device="cpu")
    lines = (cacm / "corpus.jsonl").read_text().splitlines(keepends=True)[:1000]
    documents = [json.loads(line) for line in lines]
    topics = dict(line.split("\t") for line in (cacm / "topics.tsv").read_text().splitlines())
    path, corpus = tmp_path / "cacm", tmp_path / "corpus.jsonl"
    corpus.write_text("".join(lines))
    build_index(corpus, path, model, progress=False)
    vectors = DocumentEncoder(model).encode([document["contents"] for document in documents])
    docids = [document["id"] for document in documents]
    queries = list(topics.values())
    with LuceneHypencoderSearcher(path, device="cpu") as searcher:
        rankings = searcher.batch_search(queries, list(topics), 5000)
        assert json.loads(searcher.doc("CACM-0001").raw()) == documents[0]
    for qid, expected in zip(topics, brute_force(model, queries, docids, vectors), strict=True):
        assert_same_ranking(rankings[qid], expected)


def test_stored_documents_come_back_and_unknown_ones_are_none(
    index: Path, collection: Path
) -> None:
    document = json.loads(collection.read_text().splitlines()[3])
    with LuceneHypencoderSearcher(index) as searcher:
        stored = searcher.doc(document["id"])
        assert stored is not None
        assert stored.contents() == document["contents"]
        assert json.loads(stored.raw()) == document
        assert searcher.doc("no-such-document") is None


def test_a_model_of_other_weights_or_another_size_is_refused(
    tmp_path: Path, index: Path, other_model: Path, tiny_model: Path
) -> None:
    with LuceneHypencoderSearcher(index, str(other_model), device="cpu") as searcher:
        with pytest.raises(IndexingError, match="encoded by") as error:
            searcher.search("graph")
        assert str(other_model) in str(error.value)
        assert str(tiny_model) in str(error.value)
    wide = make_model(tmp_path / "wide", dim=64)
    with LuceneHypencoderSearcher(index, str(wide), device="cpu") as searcher:
        with pytest.raises(IndexingError, match="64 dimensions"):
            searcher.search("graph")


def test_a_query_of_nan_weights_is_named(index: Path, encoded) -> None:
    model, _, _ = encoded
    q_nets = QueryEncoder(model).encode(["graph", "tree"])
    q_nets.matrices[0] = q_nets.matrices[0].clone()
    q_nets.matrices[0][1, 0, 0] = float("nan")
    with LuceneHypencoderSearcher(index, model, device="cpu") as searcher:
        with pytest.raises(Exception, match="q-tree"):
            searcher.batch_search([q_nets[0], q_nets[1]], ["q-graph", "q-tree"])


def test_a_model_that_was_trained_on_is_refused(tmp_path: Path, collection: Path) -> None:
    folder = make_model(tmp_path / "model")
    build_index(collection, tmp_path / "index", str(folder), progress=False)
    make_model(folder, seed=1)
    with LuceneHypencoderSearcher(tmp_path / "index", str(folder), device="cpu") as searcher:
        with pytest.raises(IndexingError, match="encoded by other weights of"):
            searcher.search("graph")


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="nowhere"):
        LuceneHypencoderSearcher(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.txt").write_text("text")
    with pytest.raises(IndexingError, match="folder"):
        LuceneHypencoderSearcher(tmp_path / "folder")


def test_an_index_without_hypserini_metadata_needs_a_named_model(tmp_path: Path, encoded) -> None:
    model, docids, vectors = encoded
    with IndexWriter(tmp_path / "index", dimension=model.dim) as writer:
        writer.add(docids, vectors)
        writer.commit({})
    with LuceneHypencoderSearcher(tmp_path / "index", device="cpu") as searcher:
        with pytest.raises(Exception, match="--model"):
            searcher.search("graph")
