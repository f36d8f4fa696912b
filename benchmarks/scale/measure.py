"""Measures searches over one index of the scale benchmark, in a process of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.scale.data import ScaleData
from hypserini import LuceneHypencoderSearcher
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet
from hypserini.search.costs import loss_at
from hypserini.search.filters import Filter
from hypserini.search.modes.graph import EFFICIENT_1, EFFICIENT_2
from hypserini.search.ranking import Hits

DEPTHS = (10, 100)
WARM_UP = 3
ROUNDS = 3
COLD = 5
EXHAUSTIVE = 2
"""Queries: it takes seconds, and every query the same."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One method over one index: means over the topics, milliseconds of single queries.

    Attributes:
        lucene_ms: The median's share of finding candidates and reading vectors.
        score_ms: The median's share of the q-net.
        queries_a_second: With all cores, batches side by side; 0 where it was not measured.
    """

    method: str
    documents: int
    vectors: str
    k: int
    overlap: float
    evaluations: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    lucene_ms: float
    score_ms: float
    cold_ms: float = 0.0
    first_ms: float = 0.0
    queries_a_second: float = 0.0


def drop_from_memory(index: Path) -> None:
    """Forget what the system holds of an index's files; they must not be open."""
    for path in index.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def measure(
    index: Path, facts: dict[str, Any], data: ScaleData, exact: Sequence[Hits], walks: bool
) -> list[dict[str, Any]]:
    """All methods over an index; as dictionaries of `Measured`."""
    found = []
    q_nets = data.q_nets
    drop_from_memory(index)
    started = time.perf_counter()
    with LuceneHypencoderSearcher(index, device="cpu", mode="tangent") as searcher:
        searcher.search(q_nets[0], 10)
        first = (time.perf_counter() - started) * 1e3
    colds = {k: _cold(index, q_nets, k) for k in DEPTHS}
    with LuceneHypencoderSearcher(index, device="cpu", mode="tangent") as searcher:
        methods: list[tuple[str, dict[str, Any]]] = [("tangent", {})]
        if walks:
            methods += [
                ("paper's walk, Efficient 1", {"mode": "graph", "options": EFFICIENT_1}),
                ("paper's walk, Efficient 2", {"mode": "graph", "options": EFFICIENT_2}),
            ]
        found.append(asdict(_exhaustive(searcher, facts, q_nets[:EXHAUSTIVE])))
        for k in DEPTHS:
            for name, how in methods:
                one = _time(searcher, q_nets, exact, k, how)
                cold = colds[k] if name == "tangent" else 0.0
                rate = _rate(searcher, q_nets, k, how) if name == "tangent" else 0.0
                measured = Measured(
                    method=name,
                    documents=facts["documents"],
                    vectors=facts["vectors"],
                    k=k,
                    cold_ms=cold,
                    first_ms=first,
                    queries_a_second=rate,
                    **one,
                )
                found.append(asdict(measured))
    return found


def _exhaustive(
    searcher: LuceneHypencoderSearcher, facts: dict[str, Any], q_nets: Sequence[QNet]
) -> Measured:
    times, hits = [], []
    for q_net in q_nets:
        before = time.perf_counter()
        hits.append(searcher.search(q_net, 10, mode="exhaustive"))
        times.append((time.perf_counter() - before) * 1e3)
    return Measured(
        method="exhaustive",
        documents=facts["documents"],
        vectors=facts["vectors"],
        k=10,
        overlap=1.0,
        **_spent(times, hits),
    )


def _time(
    searcher: LuceneHypencoderSearcher,
    q_nets: Sequence[QNet],
    exact: Sequence[Hits],
    k: int,
    how: dict[str, Any],
) -> dict[str, float]:
    for q_net in q_nets[:WARM_UP]:
        searcher.search(q_net, k, **how)
    times, hits = [], []
    for _ in range(ROUNDS if not how else 1):
        for q_net in q_nets:
            before = time.perf_counter()
            hits.append(searcher.search(q_net, k, **how))
            times.append((time.perf_counter() - before) * 1e3)
    pairs = {str(i): (hits[i], exact[i]) for i in range(len(exact))}
    overlap = loss_at(
        {q: a for q, (a, _) in pairs.items()}, {q: b for q, (_, b) in pairs.items()}, k
    )
    return {"overlap": overlap.overlap, **_spent(times, hits)}


def _spent(times: Sequence[float], hits: Sequence[Hits]) -> dict[str, float]:
    """What searches that took so many milliseconds spent, as `Measured` names it."""
    median, p95, p99 = (float(np.percentile(times, share)) for share in (50, 95, 99))
    return {
        "evaluations": float(np.mean([one.cost.evaluations for one in hits])),
        "median_ms": median,
        "p95_ms": p95,
        "p99_ms": p99,
        "lucene_ms": float(np.median([one.cost.fetch_ms for one in hits])),
        "score_ms": float(np.median([one.cost.score_ms for one in hits])),
    }


def _cold(index: Path, q_nets: Sequence[QNet], k: int) -> float:
    """The median of single queries right after the index was opened from the disk."""
    times = []
    for q_net in q_nets[:COLD]:
        drop_from_memory(index)
        with LuceneHypencoderSearcher(index, device="cpu", mode="tangent") as searcher:
            before = time.perf_counter()
            searcher.search(q_net, k)
            times.append((time.perf_counter() - before) * 1e3)
    return float(np.median(times))


def _rate(
    searcher: LuceneHypencoderSearcher, q_nets: Sequence[QNet], k: int, how: dict[str, Any]
) -> float:
    cores = os.cpu_count() or 1
    queries = list(q_nets) * 2
    qids = [str(i) for i in range(len(queries))]
    searcher.batch_size = 1  # so that there is a batch for every core
    best = min(
        _seconds(lambda: searcher.batch_search(queries, qids, k, cores, **how)) for _ in range(2)
    )
    return len(queries) / best


def _seconds(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


def measure_filters(index: Path, data: ScaleData) -> list[tuple[str, float, float]]:
    """Median milliseconds of the first and of the next queries under filters of several widths."""
    found = []
    with LuceneHypencoderSearcher(index, device="cpu", mode="tangent") as searcher:
        numbers = _mixed(searcher.num_docs)
        shares = (("all", 1.0), ("90 %", 0.9), ("10 %", 0.1), ("1 %", 0.01))
        for name, share in shares:
            kept = [str(number) for number in numbers[: int(share * len(numbers))]]
            wanted = Filter.listed(searcher.index, kept) if share < 1 else None
            found.append((name, *_first_and_next(searcher, data.q_nets, wanted)))
    return found


def measure_deletions(index: Path, data: ScaleData) -> list[tuple[str, float, float]]:
    """The same after deletions, each in a copy of the index whose files are links."""
    found = []
    for name, share in (("99 %, the rest deleted", 0.01), ("90 %, the rest deleted", 0.1)):
        with TemporaryDirectory(dir=index.parent) as folder:
            copy = Path(folder) / "index"
            shutil.copytree(
                index, copy, copy_function=os.link, ignore=shutil.ignore_patterns("write.lock")
            )
            dim = data.anchors.shape[1]
            with IndexWriter(copy, dimension=dim, append=True) as writer:
                numbers = _mixed(writer.num_docs)
                writer.delete([str(number) for number in numbers[: int(share * len(numbers))]])
                writer.commit({})
            with LuceneHypencoderSearcher(copy, device="cpu", mode="tangent") as searcher:
                found.append((name, *_first_and_next(searcher, data.q_nets, None)))
    return found


def _mixed(documents: int) -> np.ndarray:
    return np.random.default_rng(2).permutation(documents)


def _first_and_next(
    searcher: LuceneHypencoderSearcher, q_nets: Sequence[QNet], wanted: Filter | None
) -> tuple[float, float]:
    """Milliseconds of the first query and the median of those after it."""
    first = _seconds(lambda: searcher.search(q_nets[0], 10, filter=wanted)) * 1e3
    times = [
        _seconds(lambda: searcher.search(q_net, 10, filter=wanted)) * 1e3  # noqa: B023
        for q_net in q_nets
    ]
    return first, float(np.median(times))
