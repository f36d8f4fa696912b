"""What is nearest to a direction, by Lucene's own search and by ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plain_writer import PlainWriter
from segments import write_segments

from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.search.filters import Filter
from hypserini.search.modes.steering import steer
from hypserini.search.modes.tangent import Nearest, TangentOptions

DIM, DOCS = 24, 2000


def write(path: Path, similarity: str, spread: float) -> np.ndarray:
    """Vectors whose lengths differ by so much, in two segments; some documents are deleted."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((DOCS, DIM))
    rows *= (
        4 * (1 + spread * rng.standard_normal((DOCS, 1))) / np.linalg.norm(rows, axis=1)[:, None]
    )
    rows = rows.astype(np.float32)
    halves = np.array_split(np.arange(DOCS), 2)
    each = [([str(i) for i in half], rows[half]) for half in halves]
    write_segments(path, each, dimension=DIM, similarity=similarity)
    with IndexWriter(path, dimension=DIM, append=True) as writer:
        writer.delete([str(i) for i in range(0, DOCS, 10)])
    return rows


@pytest.mark.parametrize("filtered", [None, 2, 40])
@pytest.mark.parametrize(
    ("similarity", "spread", "by_angle"),
    [("l2", 0.02, False), ("cosine", 0.3, True), ("inner_product", 0.3, False)],
)
def test_lucenes_own_search_finds_the_nearest_unseen(
    tmp_path: Path, similarity: str, spread: float, by_angle: bool, filtered: int | None
) -> None:
    rows = write(tmp_path, similarity, spread)
    open_ = np.array([i % 10 != 0 and (not filtered or i % filtered == 1) for i in range(DOCS)])
    wanted = [str(i) for i in np.flatnonzero(open_)]
    direction = torch.randn(DIM, generator=torch.Generator().manual_seed(1)) * 1e-3
    products = rows @ direction.numpy()
    if by_angle:
        products /= np.linalg.norm(rows, axis=1)
    best = [i for i in np.argsort(-products) if open_[i]][:40]
    with Index(tmp_path) as index:
        steering = steer(index, by_angle, "format")
        assert steering.by_format
        accepted = Filter.listed(index, wanted) if filtered else None
        found: list[int] = []
        with Nearest(index, 10, 64, accepted) as nearest:
            for _ in range(2):
                nearest.direction[:] = steering.aim(direction)
                n = nearest.fetch(20, 200, steering.by_angle, steering.by_format)
                found += nearest.ordinals[:n].tolist()
                nearest.accept(n, torch.zeros(1, n))
    assert len(set(found)) == 40
    assert all(open_[found])
    assert len(set(found) & set(best)) >= 38


def test_a_direction_is_searched_by_the_format_only_where_that_ranks_by_it(tmp_path: Path) -> None:
    for similarity, spread in (("l2", 0.3), ("cosine", 0.3), ("cosine", 0.0)):
        path = tmp_path / f"{similarity}-{spread}"
        write(path, similarity, spread)
        with Index(path) as index:
            ranks = [steer(index, by_angle, "format").by_format for by_angle in (False, True)]
            assert not steer(index, True, "floats").by_format
        expected = {"l2-0.3": [False, False], "cosine-0.3": [False, True]}
        assert ranks == expected.get(path.name, [True, True])
    with pytest.raises(ValueError, match="'format' or 'floats'"):
        TangentOptions(steering="graph")


def test_documents_without_vectors_lie_between_those_with_one(tmp_path: Path) -> None:
    rows = write(tmp_path, "l2", 0.0)
    plain = PlainWriter(tmp_path)
    for number in range(300):
        plain.add(f"none{number}", None, doc_values=True)
    plain.close()
    with IndexWriter(tmp_path, dimension=DIM, append=True) as writer:
        writer.add([f"more{i}" for i in range(DOCS)], rows)
        writer.optimize()
        writer.delete([f"more{i}" for i in range(0, DOCS, 4)])
    direction = torch.from_numpy(rows[3])
    with Index(tmp_path) as index:
        assert index.num_segments == 1
        assert index.num_vectors == DOCS * 9 // 10 + DOCS * 3 // 4
        names = [*(f"none{i}" for i in range(300)), *(f"more{i}" for i in range(DOCS))]
        filters = [None, Filter.listed(index, names), Filter.listed(index, ["more3", "none3"])]
        assert [accepted.count for accepted in filters if accepted] == [DOCS * 3 // 4, 1]
        for accepted, expected in zip(filters, ({"3", "more3"}, {"more3"}, {"more3"}), strict=True):
            for by_format in (True, False):
                steering = steer(index, False, "format")
                with Nearest(index, 10, 64, accepted) as nearest:
                    for _ in range(2):
                        nearest.direction[:] = steering.aim(direction)
                        n = nearest.fetch(1, 100, False, by_format)
                        nearest.accept(n, torch.zeros(1, n))
                    found = nearest.hits(0)[0]
                assert expected <= set(found)
                assert len(set(found)) == len(found) == min(2, accepted.count if accepted else 2)


def test_islands_are_reached(tmp_path: Path) -> None:
    """Of dense groups of vectors, few links lead from one to the next: one way in is too few."""
    rng = np.random.default_rng(0)
    groups = rng.standard_normal((100, 1, 64)) + 0.1 * rng.standard_normal((100, 30, 64))
    rows = groups.reshape(-1, 64)
    rows = (4 * rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)
    rng.shuffle(rows)
    with IndexWriter(tmp_path, dimension=64, vectors="hnsw") as writer:
        writer.add([str(i) for i in range(len(rows))], rows)
        writer.optimize()
        writer.commit({})
    with Index(tmp_path) as index:
        steering = steer(index, by_angle=False)
        for near in rows[::30]:
            direction = torch.from_numpy(near + rng.normal(0, 0.5, 64).astype(np.float32))
            best = np.argsort(-(rows @ direction.numpy()))[:10]
            with Nearest(index, 10, 64) as nearest:
                nearest.direction[:] = steering.aim(direction)
                n = nearest.fetch(10, 40, steering.by_angle, steering.by_format)
                found = nearest.ordinals[:n].tolist()
                nearest.accept(n, torch.zeros(1, n))
            assert len(set(found) & set(best.tolist())) >= 8
