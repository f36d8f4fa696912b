"""What a build takes of the machine: threads, memory and disk; and what it shows meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from conftest import make_documents, write_jsonl

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
from hypserini.index import resources
from hypserini.index.__main__ import main
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def flags(tmp_path: Path, tiny_model: Path) -> list[str]:
    """A build of 400 documents, without an index to make."""
    source = write_jsonl(tmp_path / "corpus.jsonl", make_documents(400))
    found = ["--collection", source, "--model", tiny_model, "--max-length", 32]
    return [*map(str, found), "--batch-size", "8"]


def test_any_number_of_threads_finds_the_same(flags: list[str], tmp_path: Path) -> None:
    found = {}
    for threads in ("1", "4", ""):
        index = tmp_path / f"threads-{threads}"
        given = ["--threads", threads] if threads else []
        build = [*flags, "--index", str(index), "--commit-every", "0", "--quiet"]
        assert main([*build, *given]) == 0
        with LuceneHypencoderSearcher(index, device="cpu") as searcher:
            hits = searcher.search("graph of words", k=50)
            found[threads] = [(hit.docid, hit.score) for hit in hits]
        with Index(index) as opened:
            assert sorted(opened.docids()) == sorted(one["id"] for one in make_documents(400))
    assert found["4"] == found[""] == found["1"]


@pytest.mark.parametrize("vectors", ["hnsw", "hnsw-int8"])
def test_graphs_are_merged_by_several_threads(tmp_path: Path, vectors: str) -> None:
    rows = np.random.default_rng(0).standard_normal((3000, 16), dtype=np.float32)
    ids = [str(number) for number in range(len(rows))]
    told: list[int] = []
    with IndexWriter(tmp_path, dimension=16, vectors=vectors, threads=3) as writer:
        for start in range(0, len(rows), 500):
            block = slice(start, start + 500)
            writer.add(ids[block], rows[block])
            writer.commit({})
        writer.optimize(told.append)
        writer.commit({})
    with Index(tmp_path) as index:
        assert index.num_segments == 1
        assert np.array_equal(index.vectors(ids), rows)
    assert all(0 <= documents <= 3000 for documents in told)


def test_memory_is_what_java_keeps_to(flags: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from hypserini.index.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "from hypserini import jvm\n"
        "print(jvm.java_class('java.lang.Runtime').getRuntime().maxMemory() >> 20)\n"
    )
    build = [*flags, "--index", str(tmp_path / "index"), "--memory", "1g", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", script, *build], capture_output=True, text=True, check=True
    )
    assert 500 < int(done.stdout.split()[-1]) <= 1024 * resources.JAVAS_SHARE + 1


@pytest.mark.parametrize(
    ("memory", "said"),
    [("100m", "too little"), ("much", "amount of memory"), ("0", "amount"), ("-4g", "--memory")],
)
def test_memory_that_is_none_is_refused(flags, tmp_path, memory: str, said: str, capsys) -> None:
    build = [*flags, "--index", str(tmp_path / "index"), f"--memory={memory}"]
    try:
        status = main(build)
    except SystemExit as refused:
        status = refused.code
    assert status == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "index").exists()


def test_vectors_that_the_disk_cannot_hold_are_refused_before_any_is_written(
    flags, tmp_path: Path, monkeypatch, capsys, caplog
) -> None:
    from hypserini.encode.__main__ import main as encode

    vectors = tmp_path / "vectors"
    assert encode([*flags, "--output", str(vectors), "--format", "npy", "--quiet"]) == 0
    build = ["--vectors-from", str(vectors), "--index", str(tmp_path / "ix"), "--quiet"]
    free = resources.index_bytes(400, 32, "hnsw", 16)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Usage(2 * free, free, free))
        assert main([*build, "--optimize"]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert "GiB free" in said
        assert "make room" in said
        assert not (tmp_path / "ix").exists()
        assert main(build) == 0
        assert "may take" in caplog.text  # for what is merged in the background
    with Index(tmp_path / "ix") as index:
        size = sum(file.stat().st_size for file in index.path.iterdir())
        assert index.num_docs == 400
    assert free / 2 < size < 4 * free


def test_a_guess_that_the_disk_will_fill_is_a_warning(
    tmp_path: Path, tiny_model: Path, monkeypatch, capsys, caplog
) -> None:
    source = write_jsonl(tmp_path / "corpus.jsonl", make_documents(1400))
    build = ["--collection", str(source), "--model", str(tiny_model), "--batch-size", "32"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 0))
    assert main([*build, "--index", str(tmp_path / "index"), "--max-length", "16"]) == 0
    assert "0.0 GiB free" in caplog.text
    assert "--resume" in caplog.text


def test_progress_shows_every_batch_and_what_is_done(flags, tmp_path: Path, capsys) -> None:
    assert main([*flags, "--index", str(tmp_path / "index"), "--optimize"]) == 0
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert any("encoding" in line and "docs/s" in line for line in lines)
    assert any("merging" in line and "400/400" in line for line in lines)


def test_a_containers_memory_counts_where_it_has_less(tmp_path: Path, monkeypatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(resources, "CONTAINER_LIMITS", (limit, tmp_path / "nowhere"))
    machine = resources.all_memory()
    assert machine > 1 << 28
    for written, expected in (("max", machine), ("1048576", 1 << 20), (str(1 << 62), machine)):
        limit.write_text(f"{written}\n")
        assert resources.all_memory() == expected


def test_one_graph_needs_memory(tmp_path: Path) -> None:
    """A graph is merged on Java's heap; that it has no room is told before it is begun."""
    with IndexWriter(tmp_path / "index", dimension=2) as writer:
        writer.check_optimize(1000)
        with pytest.raises(IndexingError, match=r"the graph of 2,000,000,000 documents .*--memory"):
            writer.check_optimize(2_000_000_000)
    with IndexWriter(tmp_path / "flat", dimension=2, vectors="flat") as writer:
        writer.check_optimize(2_000_000_000)
