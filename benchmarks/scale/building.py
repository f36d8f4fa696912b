"""Builds the indexes of the scale benchmark, each in a process of its own, and counts the cost."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.scale.data import ScaleData
from hypserini import jvm
from hypserini.index.writer import IndexWriter

FACTS = "facts.json"
TEXT = "document number {} of those that were made to measure how a search grows"


def build(folder: Path, data: ScaleData, size: int, dim: int, vectors: str, threads: int) -> None:
    """Write an index in one segment beside its facts (`facts.json`); it is kept if it is whole."""
    started = time.perf_counter()
    with IndexWriter(folder / "index", dimension=dim, vectors=vectors, threads=threads) as writer:
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
    facts = {
        "documents": done,
        "vectors": vectors,
        "threads": threads,
        "lucene": jvm.lucene_version(),
        "adding_s": added - started,
        "merging_s": ended - added,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bytes": sum(path.stat().st_size for path in files),
        "hot_bytes": sum(path.stat().st_size for path in files if is_hot(path)),
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1))


def is_hot(path: Path) -> bool:
    """Whether a search for candidates reads all over a file: graph and quantised vectors."""
    return path.suffix in (".vex", ".veq") or (path.suffix == ".vec" and not _quantised(path))


def _quantised(path: Path) -> bool:
    return any(path.parent.glob("*.veq"))
