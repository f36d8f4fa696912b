"""What deleting costs: 10,000 docids of 100,000 documents in one commit, and what merging reclaims.

Run with `python -m benchmarks.changing`. Vectors are random, with an HNSW graph and short texts.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.exhaustive import random_q_net
from benchmarks.machine import table
from hypserini import LuceneHypencoderSearcher
from hypserini.index.changing import change_index
from hypserini.index.merging import merge_indexes
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index
from hypserini.index.resources import bytes_in
from hypserini.index.writer import IndexWriter

AT_ONCE = 4096
FOUND = 1000


def make_index(folder: Path, documents: int, dim: int, threads: int) -> None:
    """An index of random vectors, as a build leaves it."""
    generator = np.random.default_rng(0)
    with IndexWriter(folder, dimension=dim, threads=threads) as writer:
        for start in range(0, documents, AT_ONCE):
            docids = [f"d{i}" for i in range(start, min(documents, start + AT_ONCE))]
            vectors = generator.standard_normal((len(docids), dim), dtype=np.float32)
            writer.add(docids, vectors, [f"the document {docid}" for docid in docids])
        writer.finish_merges()
        how = ("none", "none", dim, "cls", 512, writer.similarity, "hnsw", "random")
        made = IndexMetadata(*how, consumed=documents, complete=True)
        writer.commit(made.to_user_data())


def found(folder: Path, dim: int) -> set[str]:
    """All that some exhaustive searches find."""
    q_nets = random_q_net(dim, 1, 8)
    with LuceneHypencoderSearcher(folder, device="cpu", mode="exhaustive") as searcher:
        names = [str(number) for number in range(len(q_nets))]
        queries = [q_nets[number] for number in range(len(q_nets))]
        hits = searcher.batch_search(queries, names, FOUND)
    return {hit.docid for ranking in hits.values() for hit in ranking}


def main(argv: Sequence[str] | None = None) -> None:
    """Build, delete, search, merge, and print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--delete", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    rows: list[list[object]] = []

    def step(name: str, folder: Path, started: float) -> None:
        seconds = time.perf_counter() - started
        with Index(folder) as index:
            held, slots = index.num_docs, int(index.java.maxDoc())
        size = f"{bytes_in(folder) / 1e6:,.1f}"
        rows.append([name, f"{seconds:.1f}", f"{held:,}", f"{slots - held:,}", size])

    with tempfile.TemporaryDirectory() as base:
        index, whole = Path(base) / "index", Path(base) / "merged"
        started = time.perf_counter()
        make_index(index, args.documents, args.dim, args.threads)
        step("build", index, started)
        generator = np.random.default_rng(1)
        likely = sorted(found(index, args.dim))[: args.delete // 2]
        others = [f"d{i}" for i in generator.permutation(args.documents)]
        gone = list(dict.fromkeys([*likely, *others]))[: args.delete]
        started = time.perf_counter()
        change_index(index, delete=gone)
        step(f"--delete of {args.delete:,} docids", index, started)
        shown = len(found(index, args.dim) & set(gone))
        started = time.perf_counter()
        merge_indexes(index, whole, progress=False)
        step("--merge", whole, started)
        shown += len(found(whole, args.dim) & set(gone))
    header = ["step", "seconds", "documents", "deleted but there", "MB"]
    table(f"{args.documents:,} vectors of {args.dim} dimensions", header, rows)
    print(f"\ndeleted documents that a search found: {shown}, {len(likely):,} of them found before")


if __name__ == "__main__":
    main()
