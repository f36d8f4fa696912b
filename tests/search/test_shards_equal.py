"""Shards rank as the one index: of CACM and of 25,000 documents, in every mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.shards import compare
from hypserini.formats.topics import Topics, load_topics
from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.pydocs.collection import make_collection

pytestmark = pytest.mark.slow

SHARDS = (1, 2, 5, 16)
TOPICS = 50


def assert_equal(collection: Path, topics: Topics, folder: Path) -> None:
    """Exhaustive, BM25, reranked and fused hit lists are the same but for near ties; overlaps of
    tangent search differ by at most .005."""
    index = folder / "one"
    build_index(collection, index, "hypserini-small", IndexOptions(), device="cpu", progress=False)
    rows = compare(index, topics, SHARDS, folder)
    assert len(rows) == 5 * len(SHARDS)
    for count, mode, different, *_, one, shards in rows:
        if mode == "tangent":
            assert abs(float(shards) - float(one)) <= 0.005, f"{count} shards: {one}, {shards}"
        else:
            assert different == 0, f"{count} shards, {mode}: {different} topics"


def test_cacm(cacm: Path, tmp_path: Path) -> None:
    assert_equal(cacm / "corpus.jsonl", load_topics(str(cacm / "topics.tsv")), tmp_path)


def test_25_000_documents(tmp_path: Path) -> None:
    """Those of the packages that are installed, as many as they have up to that."""
    files = make_collection(tmp_path / "docs", 25_000)
    topics = load_topics(str(files.topics))
    assert_equal(files.collection, Topics("some", topics.items[:TOPICS]), tmp_path)
