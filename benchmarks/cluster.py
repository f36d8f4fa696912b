"""What Ray costs on one machine: shards searched by processes of a cluster and by this process.

Run with `python -m benchmarks.cluster`. The shards, of random vectors, and the q-nets are the same;
both ways are timed in turn, several times, so that what else the machine does meets both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exhaustive import random_q_net
from benchmarks.machine import table
from hypserini import LuceneHypencoderSearcher, ShardedHypencoderSearcher
from hypserini.index.sharded import shard_name
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet

AT_ONCE = 4096
MODES = ("exhaustive", "tangent", "rerank")
GIVEN = 1000
"""Documents reranked of each query."""


def make_shards(folder: Path, shards: int, documents: int, dim: int) -> list[Path]:
    """Indexes of random vectors, as many documents each."""
    generator = np.random.default_rng(0)
    made = []
    for number in range(shards):
        made.append(folder / shard_name(number))
        docids = [f"d{i}" for i in range(number, documents, shards)]
        with IndexWriter(made[-1], dimension=dim) as writer:
            for start in range(0, len(docids), AT_ONCE):
                part = docids[start : start + AT_ONCE]
                writer.add(part, generator.standard_normal((len(part), dim), dtype=np.float32))
            writer.optimize()
            writer.commit({})
    return made


class Contender:
    """One way to search, with the seconds of its batches and of its single queries."""

    def __init__(self, searcher: LuceneHypencoderSearcher, q_nets: Sequence[QNet]) -> None:
        self.searcher = searcher
        self.batches: list[float] = []
        self.singles: list[float] = []
        self._q_nets = q_nets
        self._qids = [str(number) for number in range(len(q_nets))]
        docids = list(searcher.index.docids())
        generator = np.random.default_rng(1)
        self._given = {qid: generator.permutation(docids)[:GIVEN].tolist() for qid in self._qids}

    def batch(self, mode: str) -> dict[str, Any]:
        """Search with all q-nets at once."""
        return self._search(self._q_nets, self._qids, mode)

    def single(self, mode: str, number: int) -> None:
        """Search with one."""
        self._search(self._q_nets[number : number + 1], self._qids[number : number + 1], mode)

    def time(self, mode: str, queries: int) -> None:
        """Time a batch, and single queries one after another."""
        started = time.perf_counter()
        self.batch(mode)
        self.batches.append(time.perf_counter() - started)
        for number in range(queries):
            started = time.perf_counter()
            self.single(mode, number)
            self.singles.append(time.perf_counter() - started)

    def _search(self, q_nets: Sequence[QNet], qids: Sequence[str], mode: str) -> dict[str, Any]:
        if mode == "rerank":
            return dict(self.searcher.batch_rerank(q_nets, qids, self._given, 100))
        return self.searcher.batch_search(q_nets, qids, 100, mode=mode)


def main(argv: Sequence[str] | None = None) -> None:
    """Time both ways and print a row a mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--blocks", type=int, default=2, help="hidden blocks of the q-nets")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args(argv)
    made = random_q_net(args.dim, args.blocks, args.queries)
    q_nets = [made[number] for number in range(args.queries)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        shards = make_shards(Path(folder), args.shards, args.documents, args.dim)
        with (
            LuceneHypencoderSearcher(shards, device="cpu") as here,
            ShardedHypencoderSearcher(shards, device="cpu") as there,
        ):
            for mode in MODES:
                pair = Contender(here, q_nets), Contender(there, q_nets)
                for contender in pair:
                    contender.batch(mode)  # opened, and read once
                for _ in range(args.rounds):
                    for contender in pair:
                        contender.time(mode, queries=8)
                rows.append(row(mode, *pair, args.queries))
    of = f"{args.documents:,} vectors of {args.dim} dimensions in {args.shards} shards"
    header = ["mode", "queries/s here", "on Ray", "ratio", "of pairs", "ms here", "on Ray", "added"]
    table(f"{of}, q-nets of {args.blocks} blocks, {args.rounds} rounds", header, rows)


def row(mode: str, here: Contender, there: Contender, queries: int) -> list[str]:
    """Throughput of the best batches, their ratio and the median of the pairs'; medians of ms."""
    speeds = [queries / min(one.batches) for one in (here, there)]
    pairs = np.array(here.batches) / np.array(there.batches)
    ms = [1e3 * float(np.median(one.singles)) for one in (here, there)]
    return [
        mode,
        *(f"{speed:.1f}" for speed in speeds),
        f"{speeds[1] / speeds[0]:.2f}",
        f"{float(np.median(pairs)):.2f}",
        *(f"{one:.1f}" for one in ms),
        f"{ms[1] - ms[0]:+.1f}",
    ]


if __name__ == "__main__":
    main()
