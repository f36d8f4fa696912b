"""Reranking against the bare matrix products of the same shapes.

One query's 1,000 documents of 768 dimensions, scattered over a larger index, by a q-net of six
hidden blocks: the shape of the published hypencoder.6_layer. Query encoding is left out. Every
round has a q-net of its own, as every query has.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from benchmarks.exhaustive import random_q_net, write_index
from benchmarks.machine import best_of, table
from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.rerank import RerankOptions, rerank
from hypserini.search.ranking import Hits
from hypserini.search.scorer import QNetScorer, QueryBatch


def bare_products(q_net: QNet, documents: int) -> None:
    """The matrix products of all documents at once and nothing else."""
    matrices = [matrix[0] for matrix in q_net.matrices]
    inputs = [torch.ones(documents, matrix.shape[0]) for matrix in matrices]
    outputs = [torch.empty(documents, matrix.shape[1]) for matrix in matrices]
    with torch.inference_mode():
        for x, matrix, out in zip(inputs, matrices, outputs, strict=True):
            torch.mm(x, matrix, out=out)


def search(index: Index, q_net: QNet, k: int, given: RerankOptions) -> Hits:
    """Rerank the given documents with a q-net that was not used before."""
    return rerank(index, QueryBatch(q_net, ["q"], [None]), k, QNetScorer(q_net), given)[0]


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
                q_nets = [random_q_net(args.dim, blocks) for _ in range(args.rounds)]
                one, other = cycle(q_nets), cycle(reversed(q_nets))
                best = best_of(
                    args.rounds,
                    {
                        "products": lambda: bare_products(next(one), args.depth),  # noqa: B023
                        "rerank": lambda: search(index, next(other), args.depth, given),  # noqa: B023
                    },
                )
                hits = search(index, random_q_net(args.dim, blocks), args.depth, given)
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
