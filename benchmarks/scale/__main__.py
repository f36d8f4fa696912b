"""`python -m benchmarks.scale`: search and building over growing collections, in one table each.

Vectors are made at any size with the statistics of real ones; q-nets are trained ones, or fitted to
be as nearly linear (see `data.py`). Everything that takes long is kept in `--cache` and goes on
from there. Every index is built, and searched, in a process of its own. The results are also
written as JSON (`--results`), which `python -m benchmarks.scale.picture` draws.

    python -m benchmarks.scale --sizes 100000 300000 1000000 --formats hnsw hnsw-int8 \
        --model all-mpnet-base-v2 --collection collection.tsv --topics topics.tsv
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe, table
from benchmarks.scale.building import FACTS, Graph, build
from benchmarks.scale.data import ScaleData, linearity, scale_data
from benchmarks.scale.exact import exact_hits
from benchmarks.scale.faiss_baselines import measure_faiss
from benchmarks.scale.made import likeness
from benchmarks.scale.measure import measure, measure_deletions, measure_filters
from hypserini import cli
from hypserini.defaults import BUNDLED_MODEL
from hypserini.pydocs.collection import make_collection

GIB = 1 << 30


def main(argv: list[str] | None = None) -> None:
    """Build, measure, print the tables and write the results."""
    args = parse(argv)
    if args.collection is None:
        files = make_collection(args.cache / "python-docs", 50_000)
        args.collection, args.topics = files.collection, files.topics
    data = scale_data(
        args.cache,
        args.model,
        args.collection,
        args.topics,
        args.queries,
        args.blocks,
        args.dtype,
        args.isotropic,
    )
    near = [linearity(q_net, data.anchors) for q_net in data.q_nets]
    print(
        f"{len(data.anchors):,} anchors of {data.anchors.shape[1]} dimensions; {len(data.q_nets)}"
        f" q-nets, correlation with their mean gradient {np.mean(near):.3f} (lowest"
        f" {min(near):.3f})"
    )
    results: dict[str, Any] = {"machine": describe(), "likeness": print_likeness(data)}
    results |= {name: [] for name in ("building", "searching", "filters", "faiss")}
    sizes = sorted(args.sizes)
    folders = {
        (size, vectors): index_of(args, data, size, vectors)
        for size in sizes
        for vectors in args.formats
    }
    exact = exact_hits(data, sizes, len(data.q_nets))
    for size, best in zip(sizes, exact, strict=True):
        for vectors in args.formats:
            folder = folders[size, vectors]
            facts = json.loads((folder / FACTS).read_text())
            results["building"].append(facts)
            walks = args.walks and vectors == args.formats[0]
            results["searching"] += apart(measure, folder / "index", facts, data, best, walks)
            if args.filters:
                for how in (measure_filters, measure_deletions):
                    shares = apart(how, folder / "index", data)
                    results["filters"] += [[f"{size:,}", vectors, *row] for row in shares]
        if args.faiss:
            docids = [[hit.docid for hit in hits] for hits in best]
            rows = apart(measure_faiss, args.cache, data, size, docids)
            results["faiss"] += [[f"{size:,}", *row] for row in rows]
    print_building(results["building"])
    print_searching(results["searching"])
    if results["filters"]:
        print_filters(results["filters"])
    if results["faiss"]:
        print_faiss(results["faiss"])
    args.results.parent.mkdir(parents=True, exist_ok=True)
    args.results.write_text(json.dumps(results, indent=1) + "\n")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    parser.add_argument("--formats", nargs="+", default=["hnsw"], help="as of --vectors")
    parser.add_argument("--model", default=BUNDLED_MODEL, help="what the anchors are encoded by")
    parser.add_argument("--collection", type=Path, help="the anchors (default: documentation)")
    parser.add_argument("--topics", type=Path, help="the queries, with --collection")
    parser.add_argument("--queries", type=int, default=40, help="of the topics, at most")
    parser.add_argument("--dtype", default="float32", help="the anchors are encoded in")
    parser.add_argument("--blocks", type=int, default=6, help="of fitted q-nets")
    parser.add_argument(
        "--isotropic",
        action="store_true",
        help="made vectors stray in all dimensions alike, which real ones do not: a harder case",
    )
    parser.add_argument("--threads", type=int, default=2, help="that add documents")
    parser.add_argument("--memory", type=cli.size, help="that a build may take, such as 3g")
    parser.add_argument("--m", type=int, default=16, help="neighbours of a graph's node")
    parser.add_argument("--ef-construction", type=int, default=100, help="met to find them")
    parser.add_argument("--walks", action="store_true", help="the paper's walks as well")
    parser.add_argument(
        "--filters", action="store_true", help="searches under filters and after deletions as well"
    )
    parser.add_argument("--faiss", action="store_true", help="dot products by Faiss as well")
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench-scale"))
    parser.add_argument("--results", type=Path, default=Path(".cache/bench-scale/results.json"))
    args = parser.parse_args(argv)
    if (args.collection is None) != (args.topics is None):
        parser.error("--collection and --topics belong together")
    return args


def index_of(args: argparse.Namespace, data: ScaleData, size: int, vectors: str) -> Path:
    """The folder of an index and its facts; built if it is not there whole."""
    from hypserini.jvm import jar

    line = jar.lucene_line(jar.anserini_jar())
    kind = "-isotropic" if args.isotropic else ""
    graph = Graph(args.m, args.ef_construction)
    vectors_of = vectors if graph == Graph() else f"{vectors}-m{graph.m}-e{graph.ef_construction}"
    name = f"{Path(args.model).name}{kind}-{size}-{vectors_of}-lucene{line}-threads{args.threads}"
    folder = args.cache / name
    if not (folder / FACTS).exists():
        dim = data.anchors.shape[1]
        apart(build, folder, data, size, dim, vectors, args.threads, args.memory, graph)
    return folder


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do some work in a process of its own: its memory is counted alone, its JVM is fresh."""
    context = get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(work, arguments)


def print_likeness(data: ScaleData) -> dict[str, dict[str, float]]:
    """Whether what is made is like what is real; the same as dictionaries of `Likeness`."""
    count = len(data.anchors)
    made = np.concatenate(list(data.blocks(2 * count)))[count:]
    rows = {"real": likeness(data.anchors), "made": likeness(made)}
    table(
        f"vectors, {count:,} of each kind",
        ["kind", "distance to the nearest", "to the tenth", "dimension around them"],
        [
            [kind, f"{one.nearest:.1f}", f"{one.tenth:.1f}", f"{one.dimension:.1f}"]
            for kind, one in rows.items()
        ],
    )
    return {kind: asdict(one) for kind, one in rows.items()}


def print_building(rows: list[dict[str, Any]]) -> None:
    """What building cost."""
    table(
        "building, one segment",
        ["documents", "vectors", "threads", "docs/s", "merging s", "peak MiB", "bytes/doc", "hot"],
        [
            [
                *(f"{row['documents']:,}", row["vectors"], row["threads"]),
                f"{row['documents'] / (row['adding_s'] + row['merging_s']):,.0f}",
                *(f"{row['merging_s']:.0f}", f"{row['peak_mib']:,.0f}"),
                f"{row['bytes'] / row['documents']:,.0f}",
                f"{row['hot_bytes'] / row['documents']:,.0f}",
            ]
            for row in rows
        ],
    )


def print_searching(rows: list[dict[str, Any]]) -> None:
    """What searching cost and found."""
    table(
        "searching, one query at a time but for queries/s; milliseconds without encoding",
        [
            *("documents", "vectors", "k", "method", "overlap", "scored", "median ms", "p95"),
            *("p99", "Lucene", "q-net", "cold ms", "first ms", "queries/s"),
        ],
        [
            [
                *(f"{row['documents']:,}", row["vectors"], row["k"], row["method"]),
                *(f"{row['overlap']:.3f}", f"{row['evaluations']:,.0f}"),
                *(f"{row[name]:.1f}" for name in ("median_ms", "p95_ms", "p99_ms")),
                *(f"{row['lucene_ms']:.1f}", f"{row['score_ms']:.1f}"),
                *(f"{row[name]:.1f}" if row[name] else "" for name in ("cold_ms", "first_ms")),
                f"{row['queries_a_second']:.1f}" if row["queries_a_second"] else "",
            ]
            for row in rows
        ],
    )


def print_filters(rows: list[list[Any]]) -> None:
    """What filters cost."""
    table(
        "tangent search under filters and after deletions, k = 10",
        ["documents", "vectors", "let through", "first query ms", "median ms"],
        [[*row[:3], f"{row[3]:.1f}", f"{row[4]:.1f}"] for row in rows],
    )


def print_faiss(rows: list[list[Any]]) -> None:
    """What a search for the mean gradient costs in Faiss, and finds."""
    table(
        "Faiss, dot products with the q-nets' mean gradients, k = 10",
        ["documents", "index", "setting", "own best found", "q-net's best found", "median ms"],
        [[*row[:3], *(f"{share:.3f}" for share in row[3:5]), f"{row[5]:.2f}"] for row in rows],
    )


if __name__ == "__main__":
    main()
