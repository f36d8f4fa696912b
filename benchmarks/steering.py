"""Steering tangent search by Lucene's own search in the format, and by ours over raw floats.

Both over the same indexes, one a format, of vectors made as in `benchmarks.scale`: overlap with
exhaustive search, documents scored, and the median milliseconds spent on finding and reading them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.machine import table
from benchmarks.scale.data import ScaleData, scale_data
from benchmarks.scale.exact import exact_hits
from hypserini.defaults import BUNDLED_MODEL
from hypserini.index.reader import Index
from hypserini.index.vector_formats import VECTOR_FORMATS
from hypserini.index.writer import IndexWriter
from hypserini.jvm import jar
from hypserini.pydocs.collection import make_collection
from hypserini.search.costs import loss_at
from hypserini.search.modes.tangent import TangentOptions, search_by_tangents
from hypserini.search.ranking import Hits
from hypserini.search.scorer import QNetScorer, QueryBatch

ROUNDS = 3


def main(argv: list[str] | None = None) -> None:
    """Build the indexes that are not there yet, search, and print the table."""
    line = jar.lucene_line(jar.anserini_jar())
    here = [name for name, one in VECTOR_FORMATS.items() if one.has_graph and one.line <= line]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=40_000)
    parser.add_argument("--formats", nargs="+", choices=here, default=here)
    parser.add_argument("--similarity", choices=["cosine", "l2", "inner_product"])
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench-steering"))
    args = parser.parse_args(argv)
    files = make_collection(args.cache / "python-docs", 50_000)
    data = scale_data(
        args.cache, BUNDLED_MODEL, files.collection, files.topics, args.queries, blocks=2
    )
    exact = exact_hits(data, [args.documents], len(data.q_nets))[0]
    rows = []
    for vectors in args.formats:
        name = f"{args.documents}-{vectors}-{args.similarity or 'suited'}-lucene{line}"
        folder = args.cache / name
        if not (folder / ".complete").exists():
            write(folder, data, args.documents, vectors, args.similarity)
        with Index(folder) as index:
            for k in (10, 100):
                rows += measure(index, data, exact, k, vectors)
    table(
        f"tangent search, {args.documents:,} documents",
        ["vectors", "similarity", "k", "steered by", "overlap", "scored", "Lucene ms", "ratio"],
        rows,
    )


def write(folder: Path, data: ScaleData, size: int, vectors: str, similarity: str | None) -> None:
    """An index in one segment; docids are the vectors' numbers."""
    dim = data.anchors.shape[1]
    with IndexWriter(folder, dimension=dim, vectors=vectors, similarity=similarity) as writer:
        done = 0
        for block in data.blocks(size):
            writer.add([str(number) for number in range(done, done + len(block))], block)
            done += len(block)
        writer.optimize()
        writer.commit({})
    (folder / ".complete").write_text("")


def measure(
    index: Index, data: ScaleData, exact: list[Hits], k: int, vectors: str
) -> list[list[object]]:
    """A row for each way; they take turns, so that their times can be compared."""
    found: dict[str, list[Hits]] = {"floats": [], "format": []}
    for _ in range(ROUNDS):
        for way, hits in found.items():
            hits += [search(index, data, number, k, way) for number in range(len(data.q_nets))]
    best = {str(number): Hits(hits[:k]) for number, hits in enumerate(exact)}
    floats_ms = np.median([hits.cost.fetch_ms for hits in found["floats"]])
    rows: list[list[object]] = []
    for way, hits in found.items():
        last = {str(number): one for number, one in enumerate(hits[-len(exact) :])}
        milliseconds = np.median([one.cost.fetch_ms for one in hits])
        scored = np.mean([one.cost.evaluations for one in hits])
        overlap = loss_at(last, best, k).overlap
        rows.append(
            [
                *(vectors, index.similarity, k, way, f"{overlap:.4f}", f"{scored:.0f}"),
                *(f"{milliseconds:.2f}", f"{milliseconds / floats_ms:.2f}"),
            ]
        )
    return rows


def search(index: Index, data: ScaleData, number: int, k: int, way: str) -> Hits:
    """One topic's hits, steered in one way."""
    q_net = data.q_nets[number]
    batch = QueryBatch(q_net, [str(number)], [None])
    options = TangentOptions(steering=way)
    return search_by_tangents(index, batch, k, QNetScorer(q_net), options)[0]


if __name__ == "__main__":
    main()
