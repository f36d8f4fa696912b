"""The newer Lucene beside the older: this Python's tests of the Java side run on the other jar.

HYPSERINI_LUCENE10_JAR_DIR names a folder with the fat jar of Pyserini 2.4 or newer (anserini-2.*),
as `make test` fetches it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hypserini.errors import IndexingError
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.jvm import jar

TESTS = Path(__file__).resolve().parent
OTHER_JAR = os.environ.get("HYPSERINI_LUCENE10_JAR_DIR")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not OTHER_JAR, reason="HYPSERINI_LUCENE10_JAR_DIR names no folder"),
    pytest.mark.skipif(
        jar.lucene_line(jar.anserini_jar()) == 10, reason="this Pyserini brings Lucene 10 itself"
    ),
]


OF_THIS_LINE_ALONE = "test_the_system_reads_ahead_in_raw_vectors_for_scans_alone"


def on_lucene_10(*arguments: object) -> str:
    """Run Python on the other jar; what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "ANSERINI_CLASSPATH": str(OTHER_JAR)},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_tests_of_the_java_side_pass_on_lucene_10() -> None:
    index, modes = TESTS / "index", TESTS / "search" / "modes"
    files = [index / "test_writer.py", index / "test_reader.py"]
    files += [modes / "test_tangent.py", modes / "test_steering.py"]
    files += [f"{TESTS / 'search' / 'test_candidates.py'}::{OF_THIS_LINE_ALONE}"]
    # Without those that start processes of their own: they are no more of the Java side.
    others = "not killed and not with_simd_and_without"
    printed = on_lucene_10("-m", "pytest", "-p", "no:cacheprovider", *files, "-k", others)
    assert "passed" in printed
    assert "skipped" not in printed


SEARCH = """
import sys, torch
from hypserini import jvm
from hypserini.index.reader import Index
from hypserini.search.scan import Scan
assert jvm.lucene_version().startswith("10.")
with Index(sys.argv[1]) as index, Scan(index, 1, k=100) as scan:
    while n := scan.next():
        scan.accept(n, scan.vectors[:n].sum(1)[None])
    docids, scores = scan.hits(0)
    print(index.raw(docids[0]), index.metadata["model"], *docids)
"""


@pytest.mark.parametrize("kind", ["hnsw", "flat"])
def test_an_index_of_the_older_line_is_searched_on_the_newer(tmp_path: Path, kind: str) -> None:
    vectors = np.random.default_rng(0).standard_normal((500, 16), dtype=np.float32)
    ids = [f"d{i}" for i in range(500)]
    with IndexWriter(tmp_path / "index", dimension=16, vectors=kind) as writer:
        writer.add(ids, vectors, ids, ids)
        writer.commit({"model": "made"})
        writer.delete(["d7"])
        writer.commit({"model": "made"})
    kept = [i for i in range(500) if i != 7]
    best = sorted(kept, key=lambda i: (-vectors[i].sum(), ids[i]))[:100]
    expected = [ids[best[0]], "made", *(ids[i] for i in best)]
    assert on_lucene_10("-c", SEARCH, tmp_path / "index").split() == expected


def test_an_index_of_the_newer_line_is_refused_by_the_older_in_a_sentence(tmp_path: Path) -> None:
    code = """
import sys, numpy as np
from hypserini.index.writer import IndexWriter
with IndexWriter(sys.argv[1], dimension=2) as writer:
    writer.add(["a"], np.ones((1, 2), dtype=np.float32))
"""
    on_lucene_10("-c", code, tmp_path / "index")
    with pytest.raises(IndexingError, match=r"newer Lucene than 9\..*upgrade Pyserini"):
        Index(tmp_path / "index")
