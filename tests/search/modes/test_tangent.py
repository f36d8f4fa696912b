"""The search for the vectors nearest to a direction, with SIMD and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from segments import write_segments

from hypserini.index.reader import Index
from hypserini.jvm import jar, jdk
from hypserini.search.modes.tangent import Nearest

SEARCH = """
import sys, numpy as np, torch
from pathlib import Path
from hypserini import jvm
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.search.modes.tangent import Nearest

rng = np.random.default_rng(0)
rows = rng.standard_normal((2000, 70), dtype=np.float32)
rows[:1000] *= 3
rows[::100] = 0
direction = rng.standard_normal(70, dtype=np.float32)
with IndexWriter(sys.argv[1], dimension=70) as writer:
    writer.add([str(i) for i in range(len(rows))], rows)
with Index(sys.argv[1]) as index, Nearest(index, 10, 64) as nearest:
    assert index.similarity == "cosine"
    found = []
    for ef in (100, 20):  # in the graph, and on from what the first search met
        nearest.direction[:] = torch.from_numpy(direction)
        found += nearest.ordinals[: nearest.fetch(20, ef, True)].tolist()
lengths = np.linalg.norm(rows, axis=1).clip(1e-9)
best = set(np.argsort(-(rows @ direction) / lengths)[:40].tolist())
assert len(set(found)) == 40
assert len(best.intersection(found)) >= 36, len(best.intersection(found))
layer = jvm.java_class("java.lang.ModuleLayer")
print(layer.boot().findModule("jdk.incubator.vector").isPresent())
"""

WITHOUT = """
import jnius_config
jnius_config.add_classpath({jar!r})
import jnius
"""


@pytest.mark.parametrize("simd", [True, False])
def test_rounds_find_the_nearest_with_simd_and_without(tmp_path: Path, simd: bool) -> None:
    # A JVM that others have started may lack the module; hypserini joins it.
    before = "" if simd else WITHOUT.format(jar=str(jar.anserini_jar()))
    java = jdk.find()
    done = subprocess.run(
        [sys.executable, "-c", before + SEARCH, str(tmp_path / "index")],
        env={**os.environ, "JAVA_HOME": str(java.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    present = simd and java.has_module(jdk.VECTOR_MODULE)
    assert done.stdout.split()[-1] == str(present)


@pytest.fixture(scope="module")
def two_segments(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """An index of two segments, each large enough to have a graph, and its vectors."""
    rows = np.random.default_rng(2).standard_normal((8000, 16), dtype=np.float32)
    path = tmp_path_factory.mktemp("steered") / "index"
    halves = np.array_split(np.arange(len(rows)), 2)
    each = [([str(i) for i in half], rows[half]) for half in halves]
    return write_segments(path, each, dimension=16, similarity="l2"), rows


def fetch(nearest: Nearest, direction: np.ndarray, count: int, ef: int) -> list[int]:
    nearest.direction[:] = torch.from_numpy(direction)
    found = nearest.ordinals[: nearest.fetch(count, ef)].tolist()
    nearest.accept(len(found), torch.zeros(1, len(found)))
    return found


def test_a_new_direction_leaves_no_score_of_the_last_one_behind(two_segments) -> None:
    """Scores of the first direction are a thousand times those of the second.

    Each segment is searched twice a round: for its part, then for all, as all of that may be best.
    """
    path, rows = two_segments
    first, second = np.eye(16, dtype=np.float32)[:2]
    with Index(path) as index, Nearest(index, k=10, block=64) as nearest:
        assert index.num_segments == 2
        seen = fetch(nearest, 1000 * first, 64, 600)
        assert set(seen) == set(np.argsort(-rows @ first)[:64].tolist())
        found = fetch(nearest, second, 64, 64)
    open_ones = np.setdiff1d(np.arange(len(rows)), seen)
    best = open_ones[np.argsort(-rows[open_ones] @ second)[:64]]
    assert len(set(found) & set(best.tolist())) >= 50  # of 64: as by any search of that breadth
    assert not set(found) & set(seen)


def test_a_breadth_beyond_all_vectors_is_that_of_all(two_segments) -> None:
    path, rows = two_segments
    direction = np.ones(16, dtype=np.float32)
    best = set(np.argsort(-rows @ direction)[:64].tolist())
    with Index(path) as index:
        for ef in (10**9, 10**12):
            with Nearest(index, k=10, block=64) as nearest:
                assert set(fetch(nearest, direction, 64, ef)) == best
