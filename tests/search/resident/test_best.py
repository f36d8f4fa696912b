"""The best rows on a device: by score, and at equal ones by docid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet, QNetConfig
from hypserini.search.modes.exhaustive import ExhaustiveOptions, search_exhaustively
from hypserini.search.resident.best import BestRows, keys_of, places_of, scores_of
from hypserini.search.resident.field import ResidentField
from hypserini.search.scorer import QNetScorer, QueryBatch

CPU = torch.device("cpu")


def test_keys_rank_as_scores_and_then_as_places() -> None:
    values = [torch.inf, 3e38, 1.5, 1e-40, 0.0, -1e-40, -1.5, -3e38, -torch.inf]
    keys = keys_of(torch.tensor([values]), torch.arange(len(values)))
    assert keys[0].tolist() == sorted(keys[0].tolist(), reverse=True)
    assert scores_of(keys)[0].tolist() == torch.tensor(values).tolist()
    assert places_of(keys)[0].tolist() == list(range(len(values)))
    one, other = keys_of(torch.tensor([[0.0, -0.0]]), torch.tensor([2**31 - 1, 0]))[0].tolist()
    assert one < other  # equal, so that the place decides


@pytest.mark.parametrize("nan", [torch.nan, -torch.nan])
def test_what_is_no_number_is_the_best_of_all(nan: float) -> None:
    best = BestRows(1, 2, CPU)
    best.offer(torch.tensor([[1.0, torch.inf]]), torch.arange(2))
    best.offer(torch.tensor([[0.0, nan]]), torch.arange(2, 4))
    assert best.places.tolist() == [[3, 1]]
    assert best.scores.isnan().tolist() == [[True, False]]


@pytest.mark.parametrize("queries", [1, 3])
def test_the_best_are_those_of_a_sort(queries: int) -> None:
    generator = torch.Generator().manual_seed(queries)
    scores = torch.randint(-20, 20, (queries, 1000), generator=generator).float()
    places = torch.randperm(1000, generator=generator)
    best = BestRows(queries, 50, CPU)
    for block in range(0, 1000, 64):
        best.offer(scores[:, block : block + 64], places[block : block + 64])
    for query in range(queries):
        pairs = sorted(zip((-scores[query]).tolist(), places.tolist(), strict=True))[:50]
        assert best.places[query].tolist() == [place for _, place in pairs]
        assert best.scores[query].tolist() == [-score for score, _ in pairs]


@pytest.mark.parametrize("parts", [1, 2])
def test_of_equal_scores_the_first_docids_are_kept(tmp_path: Path, parts: int) -> None:
    docids = [f"d{number}" for number in np.random.default_rng(0).permutation(300)]
    with IndexWriter(tmp_path / "index", dimension=2, vectors="flat") as writer:
        for start in range(0, 300, 100):
            writer.add(docids[start : start + 100], np.ones((100, 2), np.float32))
            writer.commit()
    q_net = QNet(QNetConfig(vector_dimensions=(2, 1)), [torch.ones(1, 2, 1)], [])
    with Index(tmp_path / "index") as index:
        field = ResidentField(index, [CPU] * parts)
        batch = QueryBatch(q_net, ["q"], [None])
        [hits] = search_exhaustively(
            index, batch, 7, QNetScorer(q_net, field=field), ExhaustiveOptions(block=64)
        )
        assert [hit.docid for hit in hits] == sorted(docids)[:7]
