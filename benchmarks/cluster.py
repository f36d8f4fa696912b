"""What Ray costs on one machine: shards searched by processes of a cluster and by this process.

Run with `python -m benchmarks.cluster`. The shards, of random vectors, and the q-nets are the same;
all ways are timed in turn, several times, so that what else the machine does meets each. What Ray
itself costs is told by the shards searched one after the other by this process: that is the same
work, whereas a search of all shards at once begins only once and so scores less.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.exhaustive import random_q_net
from benchmarks.machine import table
from hypserini import LuceneHypencoderSearcher, ShardedHypencoderSearcher
from hypserini.index.sharded import shard_name
from hypserini.index.writer import IndexWriter
from hypserini.modeling import QNet
from hypserini.search import Hits
from hypserini.search.sharded import merged

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


Found = Mapping[str, Hits]
Given = Mapping[str, list[str]]


class Searcher(Protocol):
    """What the ways to search have in common."""

    def batch_search(
        self, queries: Sequence[QNet], qids: Sequence[str], k: int, *, mode: str
    ) -> Found:
        """Search."""

    def batch_rerank(
        self, queries: Sequence[QNet], qids: Sequence[str], hits: Given, k: int
    ) -> Found:
        """Rerank."""


class OneByOne:
    """Searches one shard after the other, each alone, as the processes on Ray do."""

    def __init__(self, shards: Sequence[LuceneHypencoderSearcher]) -> None:
        self._shards = shards

    def batch_search(
        self, queries: Sequence[QNet], qids: Sequence[str], k: int, *, mode: str
    ) -> Found:
        """The best of all shards."""
        return self._best(
            [shard.batch_search(queries, qids, k, mode=mode) for shard in self._shards], k
        )

    def batch_rerank(
        self, queries: Sequence[QNet], qids: Sequence[str], hits: Given, k: int
    ) -> Found:
        """The same of given documents."""
        ranked = [
            shard.batch_rerank(queries, qids, hits, k, drop_missing=True) for shard in self._shards
        ]
        return self._best(ranked, k)

    def _best(self, found: Sequence[Found], k: int) -> Found:
        return {qid: merged([one[qid] for one in found], k) for qid in found[0]}


class Contender:
    """One way to search, with the seconds of its batches and of its single queries."""

    def __init__(self, searcher: Searcher, q_nets: Sequence[QNet], docids: Sequence[str]) -> None:
        self.searcher = searcher
        self.batches: list[float] = []
        self.singles: list[float] = []
        self._q_nets = q_nets
        self._qids = [str(number) for number in range(len(q_nets))]
        generator = np.random.default_rng(1)
        self._given = {
            qid: generator.permutation(np.array(docids))[:GIVEN].tolist() for qid in self._qids
        }

    def batch(self, mode: str) -> Found:
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

    def _search(self, q_nets: Sequence[QNet], qids: Sequence[str], mode: str) -> Found:
        if mode == "rerank":
            return self.searcher.batch_rerank(q_nets, qids, self._given, 100)
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
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        shards = make_shards(Path(folder), args.shards, args.documents, args.dim)
        here, *alone = [
            held.enter_context(LuceneHypencoderSearcher(paths, device="cpu"))
            for paths in (shards, *([shard] for shard in shards))
        ]
        there = held.enter_context(ShardedHypencoderSearcher(shards, device="cpu"))
        docids = list(here.index.docids())
        for mode in MODES:
            searchers: list[Searcher] = [here, OneByOne(alone), there]
            ways = [Contender(searcher, q_nets, docids) for searcher in searchers]
            for contender in ways:
                contender.batch(mode)  # opened, and read once
            for _ in range(args.rounds):
                for contender in ways:
                    contender.time(mode, queries=8)
            rows.append(row(mode, ways, args.queries))
    of = f"{args.documents:,} vectors of {args.dim} dimensions in {args.shards} shards"
    header = ["mode", "queries/s at once", "one by one", "on Ray", "Ray to one by one", "of pairs"]
    header += ["ms at once", "one by one", "on Ray"]
    table(f"{of}, q-nets of {args.blocks} blocks, {args.rounds} rounds", header, rows)


def row(mode: str, ways: Sequence[Contender], queries: int) -> list[str]:
    """Throughput of the best batches, what is left on Ray, of the medians too; medians of ms."""
    _, alone, there = ways
    speeds = [queries / min(one.batches) for one in ways]
    pairs = np.array(alone.batches) / np.array(there.batches)
    return [
        mode,
        *(f"{speed:.1f}" for speed in speeds),
        f"{speeds[2] / speeds[1]:.2f}",
        f"{float(np.median(pairs)):.2f}",
        *(f"{1e3 * float(np.median(one.singles)):.1f}" for one in ways),
    ]


if __name__ == "__main__":
    main()
