"""Every kind of q-net in every mode, by Lucene's blocks and over a resident field."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from q_nets import random_q_nets
from rankings import assert_same_ranking

from hypserini import LuceneHypencoderSearcher
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNetConfig
from hypserini.search.resident.residence import Residence

DIM, DOCS, K = 16, 400, 10
KINDS = {
    "the paper's": QNetConfig((DIM, DIM, DIM, 1)),
    "a dot product": QNetConfig((DIM, 1)),
    "beside a query vector": QNetConfig((DIM, DIM, 1), add_query_vector=True),
    "a query vector alone": QNetConfig((DIM, 1), add_query_vector=True),
    "of changing widths": QNetConfig((DIM, 24, 8, 1), do_residual=False),
    # Multiplied by the fused products.
    "wide": QNetConfig((DIM, 160, 160, 1), do_residual=False, add_query_vector=True),
    "norm after": QNetConfig((DIM, DIM, 1), layer_norm_before_residual=False),
    "plain": QNetConfig((DIM, DIM, 1), "tanh", do_layer_norm=False, do_residual=False),
    "gelu": QNetConfig((DIM, DIM, 1), "gelu", do_residual_on_last=True),
}
MODES = ("exhaustive", "tangent", "graph", "auto")


def docid(number: int) -> str:
    return f"d{number:03}"


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((DOCS, DIM), dtype=np.float32)


@pytest.fixture(scope="module", params=[False, True], ids=["streamed", "resident"])
def searcher(
    tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray, request: pytest.FixtureRequest
) -> Iterator[LuceneHypencoderSearcher]:
    folder = tmp_path_factory.mktemp("kinds") / "index"
    ids = [docid(number) for number in range(DOCS)]
    with IndexWriter(folder, dimension=DIM) as writer:
        writer.add(ids, vectors, ids)
        writer.commit({})
    residence = Residence(request.param)
    with LuceneHypencoderSearcher(folder, device="cpu", residence=residence) as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_all_modes_rank_by_the_same_scores(
    searcher: LuceneHypencoderSearcher, vectors: np.ndarray, kind: str
) -> None:
    q_net = random_q_nets(KINDS[kind], 3)
    scores = q_net(torch.from_numpy(vectors)).tolist()
    qids = ["1", "2", "3"]
    every = {docid(number): number for number in range(DOCS)}
    given = {qid: list(every)[:50] for qid in qids}
    for mode in MODES:
        found = searcher.batch_search(list(q_net), qids, K, mode=mode)
        for qid, of_query in zip(qids, scores, strict=True):
            true = [(hit.docid, of_query[every[hit.docid]]) for hit in found[qid]]
            assert len(true) == K
            assert_same_ranking(found[qid], true)
            if mode == "exhaustive":
                best = sorted(every, key=lambda one: -of_query[every[one]])[:K]
                assert_same_ranking(found[qid], [(one, of_query[every[one]]) for one in best])
    reranked = searcher.batch_rerank(list(q_net), qids, given, 50)
    for qid, of_query in zip(qids, scores, strict=True):
        wanted = sorted(given[qid], key=lambda one: -of_query[every[one]])
        assert_same_ranking(reranked[qid], [(one, of_query[every[one]]) for one in wanted])
