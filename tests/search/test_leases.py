"""What searches hold of memory and files, and that they give it back, also where they fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from segments import write_segments

from hypserini import LuceneHypencoderSearcher, jvm, load_model
from hypserini.errors import IndexingError
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.search.bm25 import Bm25
from hypserini.search.filters import Filter
from hypserini.search.modes.graph import GraphOptions, GraphWalk
from hypserini.search.modes.rerank import Adaptive, DocList
from hypserini.search.modes.tangent import Nearest
from hypserini.search.scan import Scan

DIM = 6


def vectors(n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, DIM), dtype=np.float32)


def write(path: Path, ids: list[str], segments: int = 1) -> Path:
    rows, parts = vectors(len(ids)), np.array_split(np.arange(len(ids)), segments)
    return write_segments(
        path, [([ids[i] for i in part], rows[part]) for part in parts], dimension=DIM
    )


def direct_memory() -> int:
    """Bytes of direct buffers that Java holds now."""
    factory = jvm.java_class("java.lang.management.ManagementFactory")
    kind = jvm.java_class("java.lang.Class").forName("java.lang.management.BufferPoolMXBean")
    pools = factory.getPlatformMXBeans(kind)
    beans = [pools.get(i) for i in range(pools.size())]
    return next(bean.getMemoryUsed() for bean in beans if bean.getName() == "direct")


def test_thousands_of_short_searches_reuse_their_memory(tmp_path: Path) -> None:
    def many(index: Index) -> int:
        for _ in range(300):
            with Scan(index, queries=8, k=1, block=8192) as scan:
                scan.vectors.fill_(1.0)
                scan.scores.fill_(1.0)
        return direct_memory()

    with Index(write(tmp_path, ["a"])) as index:
        before = many(index)
        assert many(index) <= before  # not shared, it would be 135 MiB more


def mapped(folder: Path) -> list[str]:
    """The files of a folder that are mapped into this process."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line.rpartition("/")[2] for line in lines if str(folder) in line]


needs_maps = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="Linux alone tells what is mapped"
)


@needs_maps
def test_searches_that_cannot_be_made_hold_nothing(tmp_path: Path) -> None:
    ids = [f"d{i}" for i in range(600)]
    path = write(tmp_path / "index", ids, segments=2)
    with Index(write(tmp_path / "other", ["a"])) as other:
        foreign = Filter.listed(other, ["a"])  # of one segment, where two are asked for
    huge = 2**31  # bytes that no shared block has
    makings = {
        "Scan": lambda index: Scan(index, queries=huge // 64, k=1, block=64),
        "Nearest": lambda index: Nearest(index, k=1, block=huge // 4),
        "Nearest, filtered": lambda index: Nearest(index, k=1, block=64, filter=foreign),
        "GraphWalk": lambda index: GraphWalk(index, 1, 64, GraphOptions().follow(1), foreign),
        "DocList": lambda index: DocList(index, 1, 1, 64, ids, foreign),
        "Adaptive": lambda index: Adaptive(index, 1, 64, ids, 10, foreign),
    }
    index = Index(path)
    with Nearest(index, k=1, block=64) as good:
        assert good.fetch(1, 10) == 1
    assert mapped(path)
    before = direct_memory()
    for name, make in makings.items():
        for _ in range(50):
            with pytest.raises(Exception, match="JVM exception"):
                make(index)
        assert direct_memory() <= before + (1 << 20), name
    index.close()
    assert mapped(path) == []


@needs_maps
def test_a_searcher_that_cannot_be_made_closes_its_index(
    tmp_path: Path, index: Path, other_model: Path
) -> None:
    newer, other = tmp_path / "newer", load_model(str(other_model), device="cpu")
    with IndexWriter(newer, dimension=DIM) as writer:
        writer.add(["a"], vectors(1), ["text"], ["{}"])
        writer.commit({"hypserini.format": "99"})
    ours = shutil.copytree(index, tmp_path / "ours")  # others may have the index itself open
    for make in (
        lambda: LuceneHypencoderSearcher(newer),
        lambda: Bm25(newer),
        lambda: LuceneHypencoderSearcher(ours, other),
    ):
        with pytest.raises(IndexingError):
            make()
    assert mapped(newer) == mapped(ours) == []
