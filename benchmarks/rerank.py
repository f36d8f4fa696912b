"""Reranking against the bare matrix products of the same shapes.

One query's 1,000 documents of 768 dimensions, scattered over a larger index, by a q-net of six
hidden blocks: the shape of the published hypencoder.6_layer. Query encoding is left out.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.exhaustive import random_q_net, write_index
from benchmarks.machine import best_of, table
from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.search.batch import QueryBatch
from hypserini.search.first_stage import GivenRankings
from hypserini.search.rerank import RerankOptions, rerank
from hypserini.search.scorer import QNetScorer


def bare_products(q_net: QNet, documents: int) -> None:
    """The matrix products of all documents at once and nothing else."""
    matrices = [matrix[0] for matrix in q_net.matrices]
    inputs = [torch.ones(documents, matrix.shape[0]) for matrix in matrices]
    outputs = [torch.empty(documents, matrix.shape[1]) for matrix in matrices]
    with torch.inference_mode():
        for x, matrix, out in zip(inputs, matrices, outputs, strict=True):
            torch.mm(x, matrix, out=out)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=50_000, help="in the index")
    parser.add_argument("--depth", type=int, default=1000, help="documents reranked")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--blocks", type=int, nargs="+", default=[6, 2])
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args(argv)
    chosen = np.random.default_rng(1).choice(args.documents, args.depth, replace=False)
    given = RerankOptions(GivenRankings({"q": [str(docid) for docid in chosen]}))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        write_index(path, args.documents, args.dim)
        with Index(path) as index:
            for blocks in args.blocks:
                q_net = random_q_net(args.dim, blocks)
                batch, scorer = QueryBatch(q_net, ["q"], [None]), QNetScorer(q_net)
                best = best_of(
                    args.rounds,
                    {
                        "products": lambda: bare_products(q_net, args.depth),  # noqa: B023
                        "rerank": lambda: rerank(index, batch, args.depth, scorer, given),  # noqa: B023
                    },
                )
                hits = rerank(index, batch, args.depth, scorer, given)[0]
                rows.append(
                    [
                        blocks,
                        f"{best['products'] * 1e3:.1f}",
                        f"{best['rerank'] * 1e3:.1f}",
                        f"{best['rerank'] / best['products']:.2f}",
                        f"{hits.cost.fetch_ms:.1f}",
                    ]
                )
    table(
        f"Reranking {args.depth:,} of {args.documents:,} documents of {args.dim} dimensions, one "
        f"query (best of {args.rounds})",
        ["blocks", "products ms", "rerank ms", "times the products", "Java side ms"],
        rows,
    )
