"""The exhaustive scan against a ranking by brute force, over every shape of index."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_writer import PlainWriter
from segments import write_segments

from hypserini.errors import ModelError
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.jvm import jar
from hypserini.jvm.threads import detached
from hypserini.search.scan import Scan

DIM = 6
SMAPS = Path("/proc/self/smaps")


def vectors(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)


def write(path: Path, ids: list[str], rows: np.ndarray, *, segments: int = 1, kind: str = "flat"):
    parts = np.array_split(np.arange(len(ids)), segments)
    each = [([ids[i] for i in part], rows[part]) for part in parts]
    return write_segments(path, each, dimension=DIM, vectors=kind)


def search(
    index: Index, queries: torch.Tensor, k: int, block: int = 64
) -> list[tuple[list[str], np.ndarray]]:
    """Rank by inner product, the simplest of scorers."""
    with Scan(index, queries=len(queries), k=k, block=block) as scan:
        while n := scan.next():
            torch.matmul(queries, scan.vectors[:n].T, out=scan.scores[:, :n])
            scan.accept(n)
        return [scan.hits(i) for i in range(len(queries))]


def brute_force(ids: list[str], scores: np.ndarray, k: int) -> list[str]:
    return [ids[i] for i in sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:k]]


def dots(rows: np.ndarray, queries: torch.Tensor) -> np.ndarray:
    return (queries @ torch.from_numpy(rows).T).numpy()


@pytest.mark.parametrize("kind", ["hnsw", "flat"])
@pytest.mark.parametrize("segments", [1, 5])
@pytest.mark.parametrize("k", [1, 10, 2000])
def test_the_ranking_is_that_of_brute_force(tmp_path: Path, kind: str, segments: int, k: int):
    ids, rows = [f"d{i}" for i in range(1000)], vectors(1000)
    queries = torch.from_numpy(vectors(3, seed=1))
    with Index(write(tmp_path, ids, rows, segments=segments, kind=kind)) as index:
        for (docids, scores), expected in zip(
            search(index, queries, k), dots(rows, queries), strict=True
        ):
            assert docids == brute_force(ids, expected, k)
            assert scores.dtype == np.float32
            np.testing.assert_allclose(scores, sorted(expected, reverse=True)[:k], rtol=1e-5)


def test_deleted_documents_and_documents_without_vectors_are_left_out(tmp_path: Path) -> None:
    ids, rows = [f"d{i:03}" for i in range(200)], vectors(200)
    write(tmp_path, ids, rows, segments=2)
    deleted = set(ids[::3]) | set(ids[100:150])
    with IndexWriter(tmp_path, dimension=DIM, append=True) as writer:
        writer.delete(sorted(deleted))
    plain = PlainWriter(tmp_path)
    for docid in ("z1", "z2"):  # a segment without any vector
        plain.add(docid, None, doc_values=True)
    plain.close()
    queries = torch.from_numpy(vectors(1, seed=1))
    kept = [i for i, docid in enumerate(ids) if docid not in deleted]
    with Index(tmp_path) as index:
        assert (index.num_docs, index.num_vectors) == (len(kept) + 2, len(kept))
        docids, _ = search(index, queries, 1000)[0]
    expected = brute_force([ids[i] for i in kept], dots(rows[kept], queries)[0], 1000)
    assert docids == expected


@pytest.mark.parametrize("k", [1, 7, 500, 3000])
def test_ties_go_to_the_smaller_docid(tmp_path: Path, k: int) -> None:
    ids = [f"{i * 7919 % 3001}" for i in range(2990)] + ["é", "\N{GRINNING FACE}", "\uffee", "Z"]
    rows = np.zeros((len(ids), DIM), dtype=np.float32)
    rows[::1000, 0] = 1.0  # three better ones, tied among themselves
    with Index(write(tmp_path, ids, rows, segments=3)) as index:
        docids, scores = search(index, torch.ones(1, DIM), k)[0]
    assert docids == brute_force(ids, rows.sum(1), k)
    assert (np.diff(scores) <= 0).all()


def test_minus_zero_ties_with_zero(tmp_path: Path) -> None:
    with Index(write(tmp_path, ["b", "a"], vectors(2))) as index, Scan(index, 1, k=2) as scan:
        n = scan.next()
        scan.accept(n, torch.tensor([[0.0, -0.0]]))
        assert scan.hits(0)[0] == ["a", "b"]


def test_an_empty_index_hands_out_nothing(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        writer.commit({})
    with Index(tmp_path) as index, Scan(index, queries=2, k=3) as scan:
        assert scan.next() == 0
        docids, scores = scan.hits(1)
        assert (docids, scores.tolist()) == ([], [])


def test_every_vector_is_handed_out_once_in_full_blocks(tmp_path: Path) -> None:
    ids, rows = [str(i) for i in range(1000)], vectors(1000)
    with Index(write(tmp_path, ids, rows, segments=4)) as index:
        with Scan(index, queries=1, k=1, block=300) as scan:
            sizes, ordinals, seen = [], [], []
            while n := scan.next():
                sizes.append(n)
                ordinals.append(scan.ordinals[:n].copy())
                seen.append(scan.vectors[:n].numpy().copy())
                scan.accept(n, torch.zeros(1, n))
            assert scan.evaluations == 1000
        assert sizes == [300, 300, 300, 100]  # over the borders of segments
        assert np.concatenate(ordinals).tolist() == [*range(1000)]
        assert np.array_equal(np.concatenate(seen), rows)


def test_a_score_that_is_not_a_number_names_query_and_document(tmp_path: Path) -> None:
    ids = [f"doc{i}" for i in range(10)]
    with Index(write(tmp_path, ids, vectors(10))) as index, Scan(index, 3, k=2) as scan:
        n = scan.next()
        scores = torch.zeros(3, n)
        scores[1, 4] = torch.nan
        with pytest.raises(ModelError, match=r"document doc4 for query number 2 "):
            scan.accept(n, scores)


def test_infinite_scores_are_ranked(tmp_path: Path) -> None:
    with Index(write(tmp_path, ["a", "b", "c"], vectors(3))) as index, Scan(index, 1, k=3) as scan:
        n = scan.next()
        scan.accept(n, torch.tensor([[-torch.inf, torch.inf, 0.0]]))
        assert scan.hits(0)[0] == ["b", "c", "a"]


@pytest.mark.parametrize("doc_values", [True, False])
def test_foreign_indexes_are_scanned_too(tmp_path: Path, doc_values: bool) -> None:
    plain = PlainWriter(tmp_path)
    for docid in ("b", "a", "none", "c"):
        plain.add(docid, None if docid == "none" else [1.0] * DIM, doc_values=doc_values)
    plain.close()
    with Index(tmp_path) as index:
        assert (index.similarity, index.metadata) == ("dot_product", {})
        assert (index.num_docs, index.num_vectors) == (4, 3)
        assert search(index, torch.ones(1, DIM), 2)[0][0] == ["a", "b"]
        with Scan(index, 1, k=1) as scan:
            assert scan.ordinals[: scan.next()].tolist() == [0, 1, 3]


def test_many_threads_may_scan_one_index(tmp_path: Path) -> None:
    ids, rows = [f"d{i}" for i in range(2000)], vectors(2000)
    queries = torch.from_numpy(vectors(8, seed=1))
    expected = [brute_force(ids, scores, 20) for scores in dots(rows, queries)]
    with Index(write(tmp_path, ids, rows, segments=3)) as index, ThreadPoolExecutor(4) as pool:
        task = detached(lambda i: search(index, queries[i : i + 1], 20)[0][0])
        assert list(pool.map(task, list(range(8)) * 4)) == expected * 4


def test_a_search_outlives_the_closing_of_its_index(tmp_path: Path) -> None:
    ids, rows = [f"d{i}" for i in range(500)], vectors(500)
    index = Index(write(tmp_path, ids, rows))
    with Scan(index, 1, k=5, block=100) as scan:
        total = scan.next()
        scan.accept(total, torch.zeros(1, total))
        index.close()
        while n := scan.next():
            scan.accept(n, scan.vectors[:n, :1].T)
            total += n
        assert total == 500
        assert len(scan.hits(0)[0]) == 5


def test_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with Index(write(tmp_path, ["a"], vectors(1))) as index:
        with pytest.raises(ValueError, match="k"):
            Scan(index, queries=1, k=0)


@pytest.mark.skipif(not SMAPS.exists(), reason="the system does not tell how files are mapped")
@pytest.mark.skipif(jar.lucene_line(jar.anserini_jar()) < 10, reason="this line gives no advice")
def test_the_system_reads_ahead_in_raw_vectors_for_scans_alone(tmp_path: Path) -> None:
    """Behind a quantised copy, other searches read a few here and there."""
    write(tmp_path, [f"d{i}" for i in range(300)], vectors(300), segments=2, kind="hnsw-int8")
    with Index(tmp_path) as index:
        assert advice(tmp_path) == ["random", "random"]
        with Scan(index, queries=1, k=1, block=64) as scan, Scan(index, 1, k=1) as other:
            scan.next()
            assert sorted(advice(tmp_path)) == ["forwards", "random"]
            while n := other.next():
                other.accept(n, other.vectors[:n].sum(1)[None])
            assert advice(tmp_path) == ["forwards", "forwards"]
            other.close()
            assert sorted(advice(tmp_path)) == ["forwards", "random"]
        assert advice(tmp_path) == ["random", "random"]


def advice(folder: Path) -> list[str]:
    """How the system was told that each file of raw vectors is read."""
    kinds, path = [], ""
    for line in SMAPS.read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            path = rest[-1]
        elif first == "VmFlags:" and path.startswith(str(folder)) and path.endswith(".vec"):
            kinds.append("random" if "rr" in rest else "forwards" if "sr" in rest else "")
    return kinds
