"""Approximate search against exhaustive search, on the same vectors and q-nets in one run.

The documentation of the installed packages, encoded by the bundled model, in growing subsets and
enlarged by made vectors; q-nets of the demo's held-out topics, and, as the worst case, random ones.
For each method: overlap with the exhaustive best, q-nets evaluated, and milliseconds without the
encoding of the query. A graph of dot products is searched as Lucene does by default (`ef` = k), and
with the `ef` at which it finds its own best as surely as tangent search finds those of a q-net.
Writes a table and a picture (`--picture`, SVG; needs matplotlib).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import table
from benchmarks.search_baselines import DotProduct, dot_product_baselines
from benchmarks.search_data import Collection, load_data, write_index
from benchmarks.search_measured import Measured
from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.search.costs import loss_at
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.table import mode_named
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.ranking import Cost, Hit, Hits
from hypserini.search.scorer import QNetScorer, QueryBatch

DEPTHS = (10, 100, 1000)
WARM_UP = 3


def methods(k: int, documents: int) -> list[tuple[str, str, str, object]]:
    """Name, setting, mode and options of what is compared with exhaustive search."""
    plan = TangentOptions().follow(k)
    found: list[tuple[str, str, str, object]] = [("tangent", "defaults", "tangent", None)]
    for ef in (plan.fetch, 2 * plan.ef, 8 * plan.ef):
        found.append(("tangent", f"ef {ef}", "tangent", TangentOptions(ef=ef)))
    for entries in (100, 1000, 4000):
        paper = GraphOptions("random", entries, 64, 16, frontier="new")
        found.append(("paper's walk, random entries", f"{entries} entries", "graph", paper))
    for entry in ("random", "layer", "bm25", "tangent"):
        for candidates in (max(8, k // 8), max(32, k // 2)):
            options = GraphOptions(entry, ncandidates=candidates)
            setting = f"{candidates} a step"
            found.append((f"graph walk, {entry} entries", setting, "graph", options))
    return found


def rank(
    index: Index, data: Collection, queries: Sequence[QNet], k: int, mode: str, options: object
) -> tuple[dict[str, Hits], float]:
    """The rankings of all topics and the milliseconds a topic, one after another."""
    chosen = mode_named(mode)
    topics = list(zip(queries, data.qids, data.queries, strict=False))

    def search(q_net: QNet, qid: str, text: str) -> Hits:
        batch = QueryBatch(q_net, [qid], [text])
        return chosen.search(index, batch, k, QNetScorer(q_net), options or chosen.options())[0]

    for topic in topics[:WARM_UP]:
        search(*topic)
    started = time.perf_counter()
    found = {topic[1]: search(*topic) for topic in topics}
    return found, (time.perf_counter() - started) * 1e3 / max(1, len(topics))


def ndcg(found: dict[str, Hits], data: Collection) -> float:
    """nDCG@10 of the known items, whose ideal is 1."""
    gains = []
    for qid, hits in found.items():
        ranks = [i for i, hit in enumerate(hits[:10]) if hit.docid == data.relevant[qid]]
        gains.append(1 / np.log2(ranks[0] + 2) if ranks else 0.0)
    return float(np.mean(gains))


def measure(
    index: Index,
    data: Collection,
    queries: Sequence[QNet],
    name: str,
    depths: Sequence[int],
    baselines: Sequence[DotProduct],
) -> list[Measured]:
    """All methods at all depths over one index."""
    count = index.num_vectors
    results: list[Measured] = []
    for k in depths:
        exact, exact_ms = rank(index, data, queries, k, "exhaustive", None)

        def add(
            method: str,
            setting: str,
            found: dict[str, Hits],
            milliseconds: float,
            own: float | None = None,
            k: int = k,
        ) -> Measured:
            evaluations = float(np.mean([hits.cost.evaluations for hits in found.values()]))
            overlap = loss_at(found, exact, k).overlap  # noqa: B023
            results.append(
                Measured(
                    *(count, name, k, method, setting, overlap, overlap if own is None else own),
                    *(evaluations, milliseconds, ndcg(found, data)),
                )
            )
            return results[-1]

        add("exhaustive", "", exact, exact_ms)
        approximate = [
            add(method, setting, *rank(index, data, queries, k, mode, options))
            for method, setting, mode, options in methods(k, index.num_vectors)
        ]
        mean = torch.from_numpy(index.some_vectors).mean(0, keepdim=True)
        directions = torch.cat([q.gradient(mean) for q in queries])[:, 0].numpy()
        best = _exact_dots(data, directions.astype(np.float32), count, k)
        for baseline in baselines:
            # As Lucene searches by default, and as well as tangent search does its own.
            for ef in (k, 2 * k, 4 * k, 8 * k, 16 * k, 32 * k, 64 * k):
                found, ms = _dots(baseline, directions, data, k, ef)
                own = loss_at(found, best, k).overlap
                good = own >= approximate[0].own
                if ef == k or good or ef == 64 * k:
                    setting = f"ef {ef}" if baseline.approximate else ""
                    add(f"dot product, {baseline.name}", setting, found, ms, own)
                if good or not baseline.approximate:
                    break
    return results


def _exact_dots(data: Collection, directions: np.ndarray, size: int, k: int) -> dict[str, Hits]:
    ids, _, vectors = data.rows(size)
    best = {}
    for qid, direction in zip(data.qids, directions, strict=False):
        products = vectors @ direction
        rows = np.argsort(-products, kind="stable")[:k]
        best[qid] = Hits([Hit(ids[row], float(products[row])) for row in rows], Cost())
    return best


def _dots(
    baseline: DotProduct, directions: np.ndarray, data: Collection, k: int, ef: int
) -> tuple[dict[str, Hits], float]:
    rows = directions.astype(np.float32)
    for row in rows[:WARM_UP]:
        baseline.search(row, k, ef)
    started = time.perf_counter()
    ranked = [baseline.search(row, k, ef) for row in rows]
    milliseconds = (time.perf_counter() - started) * 1e3 / len(rows)
    hits = [
        Hits([Hit(docid, score) for docid, score in one], Cost(evaluations=0)) for one in ranked
    ]
    return dict(zip(data.qids, hits, strict=False)), milliseconds


def show(results: Sequence[Measured]) -> None:
    """Print one table a size, q-nets and depth."""
    groups = dict.fromkeys((r.documents, r.q_nets, r.depth) for r in results)
    for documents, q_nets, depth in groups:
        group = [
            r for r in results if (r.documents, r.q_nets, r.depth) == (documents, q_nets, depth)
        ]
        exact = group[0]
        table(
            f"{documents:,} documents, {q_nets} q-nets, k = {depth}",
            [
                "method",
                "setting",
                f"overlap@{depth}",
                "own overlap",
                "evaluations",
                "ms",
                "times faster",
                "nDCG@10",
            ],
            [
                [
                    r.method,
                    r.setting,
                    f"{r.overlap:.3f}",
                    f"{r.own:.3f}",
                    f"{r.evaluations:,.0f}",
                    f"{r.milliseconds:.1f}",
                    f"{exact.milliseconds / r.milliseconds:.1f}",
                    f"{r.ndcg:.3f}",
                ]
                for r in group
            ],
        )


def main(argv: list[str] | None = None) -> None:
    """Measure, print the tables and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 50_000, 0])
    parser.add_argument("--enlarge", type=int, default=2, help="times all documents; 1: not")
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--depths", type=int, nargs="+", default=list(DEPTHS))
    parser.add_argument("--random-blocks", type=int, default=2, help="of random q-nets; 0: none")
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench-search"))
    parser.add_argument("--picture", type=Path, default=Path(".cache/bench-search/search.svg"))
    args = parser.parse_args(argv)
    data = load_data(args.cache, max(args.documents) if all(args.documents) else None)
    sizes = sorted({min(n or len(data.docids), len(data.docids)) for n in args.documents})
    if args.enlarge > 1:
        sizes.append(args.enlarge * len(data.docids))
    results: list[Measured] = []
    for size in sizes:
        folder = write_index(args.cache, data, size)
        sets: list[tuple[str, Callable[[], list[QNet]]]] = [("trained", lambda: data.trained)]
        if args.random_blocks:
            sets.append(("random", lambda: data.random(args.random_blocks)))
        with Index(folder) as index:
            baselines = dot_product_baselines(args.cache, data, size)
            for name, q_nets in sets:
                queries = q_nets()[: args.topics if name == "trained" else args.topics // 4]
                depths = args.depths if name == "trained" else args.depths[:2]
                results += measure(index, data, queries, name, depths, baselines)
    show(results)
    from benchmarks.search_picture import draw

    draw(results, args.picture)


if __name__ == "__main__":
    main()
