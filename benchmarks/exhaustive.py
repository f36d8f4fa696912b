"""Exhaustive search against the bare matrix products of the same shapes.

100,000 vectors of 768 dimensions, one query, a q-net of six hidden blocks: the shape of the
published hypencoder.6_layer.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import best_of, table
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet, QNetConfig
from hypserini.search.scan import Scan
from hypserini.search.scorer import QNetScorer, drive

BLOCK_OF_PRODUCTS = 512


def random_q_net(dim: int, blocks: int, queries: int = 1) -> QNet:
    """A q-net of random weights at the scale of the paper's initialisation."""
    config = QNetConfig(vector_dimensions=(dim,) * (blocks + 1) + (1,))
    generator = torch.Generator().manual_seed(0)
    matrices = [
        torch.randn(queries, rows, columns, generator=generator) * (2 / dim) ** 0.5
        for rows, columns in config.matrix_shapes
    ]
    vectors = [
        torch.randn(queries, size, generator=generator) * 0.01 for size in config.vector_sizes
    ]
    return QNet(config, matrices, vectors)


def write_index(folder: Path, documents: int, dim: int, block: int = 10_000) -> None:
    """A flat index of random vectors without text."""
    generator = np.random.default_rng(0)
    with IndexWriter(folder, dimension=dim, vectors="flat") as writer:
        for start in range(0, documents, block):
            n = min(block, documents - start)
            vectors = generator.standard_normal((n, dim), dtype=np.float32)
            writer.add([str(start + i) for i in range(n)], vectors)
        writer.commit({})


def bare_products(q_net: QNet, documents: int, block: int = BLOCK_OF_PRODUCTS) -> None:
    """The matrix products of an exhaustive search and nothing else."""
    matrices = [matrix[0] for matrix in q_net.matrices]
    inputs = [torch.ones(block, matrix.shape[0]) for matrix in matrices]
    outputs = [torch.empty(block, matrix.shape[1]) for matrix in matrices]
    with torch.inference_mode():
        for _ in range(documents // block):
            for x, matrix, out in zip(inputs, matrices, outputs, strict=True):
                torch.mm(x, matrix, out=out)


def search(index: Index, q_net: QNet, k: int) -> None:
    """One exhaustive search, query encoding aside."""
    scorer = QNetScorer(q_net)
    with Scan(index, queries=1, k=k) as candidates:
        drive(candidates, scorer)
        candidates.hits(0)


def scan(index: Index, k: int, scores: torch.Tensor) -> None:
    """The same search with scores that cost nothing: reading, selection and the Java side."""
    with Scan(index, queries=1, k=k) as candidates:
        seen = 0
        while n := candidates.next():
            candidates.scores[0, :n] = scores[seen : seen + n]
            seen += n
            candidates.accept(n)
        candidates.hits(0)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--blocks", type=int, nargs="+", default=[6, 2])
    parser.add_argument("--hits", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        write_index(path, args.documents, args.dim)
        random_scores = torch.randn(args.documents)
        with Index(path) as index:
            for blocks in args.blocks:
                q_net = random_q_net(args.dim, blocks)
                best = best_of(
                    args.rounds,
                    {
                        "products": lambda: bare_products(q_net, args.documents),  # noqa: B023
                        "search": lambda: search(index, q_net, args.hits),  # noqa: B023
                        "scan": lambda: scan(index, args.hits, random_scores),
                    },
                )
                rows.append(
                    [
                        blocks,
                        f"{best['products'] * 1e3:.0f}",
                        f"{best['search'] * 1e3:.0f}",
                        f"{best['products'] / best['search']:.2f}",
                        f"{best['scan'] * 1e3:.0f}",
                        f"{best['scan'] / best['search']:.1%}",
                    ]
                )
    table(
        f"Exhaustive search of {args.documents:,} vectors of {args.dim} dimensions, one query, "
        f"k = {args.hits} (best of {args.rounds})",
        ["blocks", "products ms", "search ms", "rate", "Java side ms", "of the search"],
        rows,
    )
