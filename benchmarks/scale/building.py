"""Builds the indexes of the scale benchmark, each in a process of its own, and counts the cost."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from benchmarks.scale.data import ScaleData
from hypserini import jvm
from hypserini.index.resources import limit_memory
from hypserini.index.writer import IndexWriter

FACTS = "facts.json"
TEXT = "document number {} of those that were made to measure how a search grows"


class Graph(NamedTuple):
    """How dense a graph is: neighbours of a node, and nodes met to find them."""

    m: int = 16
    ef_construction: int = 100


class PeakMemory:
    """The most memory that this process held at once, but for what it maps of files."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            lines = Path("/proc/self/status").read_text().splitlines()
            held = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
            self.mib = max(self.mib, (int(held["RssAnon"]) + int(held["RssShmem"])) / 1024)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def build(
    folder: Path,
    data: ScaleData,
    size: int,
    dim: int,
    vectors: str,
    threads: int,
    memory: int | None,
    graph: Graph,
) -> None:
    """Write an index in one segment beside its facts (`facts.json`); it is kept if it is whole."""
    with PeakMemory() as peak:
        facts = _build(folder, data, size, dim, vectors, threads, memory, graph)
    (folder / FACTS).write_text(json.dumps({**facts, "peak_mib": peak.mib}, indent=1))


def _build(
    folder: Path,
    data: ScaleData,
    size: int,
    dim: int,
    vectors: str,
    threads: int,
    memory: int | None,
    graph: Graph,
) -> dict[str, Any]:
    started = time.perf_counter()
    with IndexWriter(
        folder / "index",
        dimension=dim,
        vectors=vectors,
        m=graph.m,
        ef_construction=graph.ef_construction,
        threads=threads,
        ram_buffer_mb=limit_memory(memory),
    ) as writer:
        writer.check_optimize(size)  # before anything is made
        done = 0
        with tqdm(total=size, desc=folder.name, unit=" docs", file=sys.stderr) as bar:
            for block in data.blocks(size):
                ids = [str(number) for number in range(done, done + len(block))]
                writer.add(ids, block, [TEXT.format(one) for one in ids])
                done += len(block)
                bar.update(len(block))
        added = time.perf_counter()
        writer.optimize()
        writer.commit({})
    ended = time.perf_counter()
    files = [path for path in (folder / "index").iterdir() if path.is_file()]
    return {
        "documents": done,
        "vectors": vectors,
        "threads": threads,
        "m": graph.m,
        "ef_construction": graph.ef_construction,
        "lucene": jvm.lucene_version(),
        "adding_s": added - started,
        "merging_s": ended - added,
        "bytes": sum(path.stat().st_size for path in files),
        "hot_bytes": sum(path.stat().st_size for path in files if is_hot(path)),
    }


def is_hot(path: Path) -> bool:
    """Whether a search for candidates reads all over a file: graph and quantised vectors."""
    return path.suffix in (".vex", ".veq") or (path.suffix == ".vec" and not _quantised(path))


def _quantised(path: Path) -> bool:
    return any(path.parent.glob("*.veq"))
