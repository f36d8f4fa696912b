"""The search for the vectors nearest to a direction, with SIMD and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypserini.jvm import jar, jdk

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
