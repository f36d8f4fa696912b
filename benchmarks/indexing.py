"""Indexing of vectors that are already computed: documents a second, and memory at its peak.

Every measurement runs in a process of its own, so that one peak does not hide another.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import table
from hypserini.index.writer import IndexWriter

BLOCK = 4096


def measure(documents: int, dim: int, vectors: str, text: str) -> dict[str, float]:
    """Index random vectors; the rate in documents a second and the peak memory in MiB."""
    generator = np.random.default_rng(0)
    block = generator.standard_normal((BLOCK, dim), dtype=np.float32)
    contents = [text] * BLOCK if text else None
    with tempfile.TemporaryDirectory() as folder:
        writer = IndexWriter(Path(folder) / "index", dimension=dim, vectors=vectors)
        started = time.perf_counter()
        with writer:
            for start in range(0, documents, BLOCK):
                n = min(BLOCK, documents - start)
                ids = [str(start + i) for i in range(n)]
                writer.add(ids, block[:n], contents[:n] if contents else None)
            writer.commit({})
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": documents / seconds, "peak": peak}


def measure_apart(*arguments: object) -> dict[str, float]:
    """`measure` in a fresh process."""
    code = (
        "import json, sys; from benchmarks.indexing import measure; "
        "d, dim, v, t = sys.argv[1:]; print(json.dumps(measure(int(d), int(dim), v, t)))"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", type=int, default=1_000_000, help="documents of the large run")
    args = parser.parse_args(argv)
    text = "a passage of some twenty words, as a collection of short passages would hold it " * 2
    rows = []
    for documents, dim, vectors, contents in (
        (100_000, 768, "flat", ""),
        (100_000, 768, "flat", text),
        (20_000, 768, "hnsw", ""),
    ):
        found = measure_apart(documents, dim, vectors, contents)
        with_text = "yes" if contents else "no"
        rows.append([f"{documents:,}", dim, vectors, with_text, f"{found['rate']:,.0f}"])
    table(
        "Indexing vectors that are already computed",
        ["documents", "dimensions", "vectors", "text", "documents/s"],
        rows,
    )
    small = measure_apart(10_000, 128, "flat", "")
    large = measure_apart(args.large, 128, "flat", "")
    table(
        "Peak memory of indexing 128-dimensional vectors",
        ["documents", "peak MiB", "above the small run"],
        [
            ["10,000", f"{small['peak']:,.0f}", ""],
            [f"{args.large:,}", f"{large['peak']:,.0f}", f"{large['peak'] - small['peak']:,.0f}"],
        ],
    )
