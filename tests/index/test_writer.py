"""Writing an index: commits, kills, duplicates, deletions, and vectors of any dimension."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index import writer as writer_module
from hypserini.index.reader import Index
from hypserini.index.writer import DuplicateDocid, IndexWriter

DIM = 8


def vectors(n: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)


def contents_of(path: Path) -> tuple[list[str], np.ndarray, dict[str, str]]:
    """Docids, vectors and metadata of what is committed."""
    with Index(path) as index:
        docids = list(index.docids())
        return docids, index.vectors(docids), index.metadata


@pytest.mark.parametrize("kind", ["hnsw", "flat"])
@pytest.mark.parametrize("dim", [1, 8, 1500])
def test_vectors_of_any_dimension_come_back_bit_for_bit(tmp_path: Path, kind: str, dim: int):
    expected = vectors(300, dim)
    with IndexWriter(tmp_path / "index", dimension=dim, vectors=kind, m=4) as writer:
        writer.add([str(i) for i in range(300)], expected)
    docids, found, _ = contents_of(tmp_path / "index")
    assert docids == [str(i) for i in range(300)]
    assert np.array_equal(found, expected)


def test_what_is_stored_comes_back_character_for_character(tmp_path: Path) -> None:
    raw = '{"id": "\N{GRINNING FACE}", "text": "é\\u0000\n"}'
    with IndexWriter(tmp_path / "index", dimension=DIM) as writer:
        writer.add(["\N{GRINNING FACE}", "b"], vectors(2), ["Some text", ""], [raw, ""])
        writer.commit({"name": "\N{GRINNING FACE}", "": "empty name", "empty": ""})
        assert writer.committed_metadata["name"] == "\N{GRINNING FACE}"
    with Index(tmp_path / "index") as index:
        assert index.raw("\N{GRINNING FACE}") == raw
        assert index.raw("b") == ""
        assert index.stored("b", "id") == "b"
        assert index.stored("b", "contents") is None  # indexed, as Anserini does, not stored
        assert index.metadata == {"name": "\N{GRINNING FACE}", "": "empty name", "empty": ""}


def test_relative_paths_follow_python(tmp_path: Path, monkeypatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with IndexWriter("index \N{GRINNING FACE}", dimension=DIM) as writer:
            writer.add([name], vectors(1))
        assert contents_of(Path("index \N{GRINNING FACE}"))[0] == [name]
    assert Path(tmp_path, "a", "index \N{GRINNING FACE}").is_dir()


def test_a_block_larger_than_the_shared_memory_is_split(tmp_path: Path) -> None:
    n = 10_000
    with IndexWriter(tmp_path / "index", dimension=2, vectors="flat") as writer:
        writer.add([str(i) for i in range(n)], vectors(n, 2), raws=[f"raw {i}" for i in range(n)])
        assert writer.num_docs == n
    with Index(tmp_path / "index") as index:
        assert index.num_vectors == n
        assert index.raw("9999") == "raw 9999"


def test_threads_add_the_same_documents(tmp_path: Path) -> None:
    expected = vectors(1000)
    ids = [f"d{i:03}" for i in range(1000)]
    with IndexWriter(tmp_path / "index", dimension=DIM, threads=4) as writer:
        writer.add(ids, expected, raws=ids)
        writer.add(["last"], vectors(1))  # fewer documents than threads
    with Index(tmp_path / "index") as index:
        assert sorted(index.docids()) == sorted([*ids, "last"])
        assert np.array_equal(index.vectors(ids), expected)
        assert index.raw("d500") == "d500"


def test_an_error_rolls_back_to_the_last_commit(tmp_path: Path) -> None:
    def interrupted() -> None:
        with IndexWriter(tmp_path / "index", dimension=DIM) as writer:
            writer.add(["a"], vectors(1))
            writer.commit({"consumed": "1"})
            writer.add(["b"], vectors(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    docids, _, metadata = contents_of(tmp_path / "index")
    assert (docids, metadata) == (["a"], {"consumed": "1"})


def test_leaving_the_block_commits_under_the_last_metadata(tmp_path: Path) -> None:
    with IndexWriter(tmp_path / "index", dimension=DIM) as writer:
        writer.add(["a"], vectors(1))
        writer.commit({"model": "m"})
        writer.add(["b"], vectors(1))
    docids, _, metadata = contents_of(tmp_path / "index")
    assert (docids, metadata) == (["a", "b"], {"model": "m"})


def test_a_killed_writer_leaves_its_last_commit_to_go_on_from(tmp_path: Path) -> None:
    code = """
import os, signal, sys, numpy as np
from hypserini.index.writer import IndexWriter
writer = IndexWriter(sys.argv[1], dimension=8)
for start in range(0, 4000, 1000):
    ids = [str(i) for i in range(start, start + 1000)]
    writer.add(ids, np.full((1000, 8), start, dtype=np.float32))
    if start < 2000:
        writer.commit({"consumed": str(start + 1000)})
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "index"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path / "write.lock").exists()
    with IndexWriter(path, dimension=DIM, append=True) as writer:
        assert writer.committed_metadata == {"consumed": "2000"}
        assert writer.num_docs == 2000
        writer.add(["2000", "3999"], vectors(2))
        writer.commit({"consumed": "2002"})
    docids, _, metadata = contents_of(path)
    assert sorted(map(int, docids)) == [*range(2001), 3999]
    assert metadata == {"consumed": "2002"}


def test_without_append_the_old_index_stays_until_the_first_commit(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with IndexWriter(path, dimension=DIM) as writer:
        writer.add(["old"], vectors(1))
    IndexWriter(path, dimension=3).close()
    assert contents_of(path)[0] == ["old"]
    with IndexWriter(path, dimension=3) as writer:
        writer.add(["old", "new"], vectors(2, 3))  # a docid of the replaced index is no duplicate
        assert contents_of(path)[0] == ["old"]
        writer.commit({})
        assert contents_of(path)[0] == ["old", "new"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with IndexWriter(path, dimension=DIM) as writer:
        with pytest.raises(IndexingError, match=r"index.*another process is writing"):
            IndexWriter(path, dimension=DIM, append=True)
        code = (
            "import sys; from hypserini.index.writer import IndexWriter\n"
            "try: IndexWriter(sys.argv[1], dimension=8)\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        command = [sys.executable, "-c", code, str(path)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert printed.startswith("IndexingError")
        writer.add(["a"], vectors(1))
    assert contents_of(path)[0] == ["a"]


class TestDuplicates:
    def test_within_a_block(self, tmp_path: Path) -> None:
        with pytest.raises(DuplicateDocid) as error, IndexWriter(tmp_path, dimension=DIM) as writer:
            writer.add(["a", "b", "é\N{GRINNING FACE}", "é\N{GRINNING FACE}"], vectors(4))
        assert error.value.docid == "é\N{GRINNING FACE}"
        assert error.value.docid in str(error.value)

    def test_between_blocks_and_nothing_can_be_committed_after(self, tmp_path: Path) -> None:
        writer = IndexWriter(tmp_path, dimension=DIM)
        writer.add(["a"], vectors(1))
        writer.commit({"n": "1"})
        writer.add(["b"], vectors(1))
        with pytest.raises(DuplicateDocid):
            writer.add(["c", "b"], vectors(2))
        with pytest.raises(IndexingError, match="roll back"):
            writer.commit({})
        writer.rollback()
        assert contents_of(tmp_path)[0] == ["a"]

    @pytest.mark.parametrize("position", [0, 1234, 2999])
    def test_across_commits_and_segments(self, tmp_path: Path, position: int) -> None:
        ids = [f"{i * 7919 % 3000:04}" for i in range(3000)]
        writer = IndexWriter(tmp_path, dimension=DIM, vectors="flat")
        for start in range(0, 3000, 500):
            writer.add(ids[start : start + 500], vectors(500))
            writer.commit({"consumed": str(start + 500)})
        fresh = [f"{i:04}x" for i in range(3000)]
        fresh.insert(1500, ids[position])
        writer.add(fresh, vectors(len(fresh)))
        with pytest.raises(DuplicateDocid) as error:
            writer.commit({})
        assert error.value.docid == ids[position]
        with pytest.raises(IndexingError):
            writer.close()
        docids, _, metadata = contents_of(tmp_path)
        assert sorted(docids) == sorted(ids)
        assert metadata == {"consumed": "3000"}

    def test_against_an_index_that_is_appended_to(self, tmp_path: Path) -> None:
        with IndexWriter(tmp_path, dimension=DIM) as writer:
            writer.add(["a", "b"], vectors(2))
        writer = IndexWriter(tmp_path, dimension=DIM, append=True)
        writer.add(["c", "b"], vectors(2))
        with pytest.raises(DuplicateDocid, match="b"):
            writer.close()
        assert contents_of(tmp_path)[0] == ["a", "b"]

    def test_a_deleted_document_may_come_back_once(self, tmp_path: Path) -> None:
        with IndexWriter(tmp_path, dimension=DIM) as writer:
            writer.add(["a", "b"], vectors(2))
            writer.commit({})
            writer.delete(["a", "unknown"])
            writer.add(["a"], vectors(1, seed=1))
            writer.commit({})
            writer.add(["c"], vectors(1))
            writer.delete(["c"])
            writer.add(["c"], vectors(1, seed=2))
        docids, found, _ = contents_of(tmp_path)
        assert sorted(docids) == ["a", "b", "c"]
        assert np.array_equal(found[docids.index("a")], vectors(1, seed=1)[0])
        assert np.array_equal(found[docids.index("c")], vectors(1, seed=2)[0])
        writer = IndexWriter(tmp_path, dimension=DIM, append=True)
        writer.delete(["a"])
        writer.add(["a"], vectors(1))
        with pytest.raises(DuplicateDocid):
            writer.add(["a"], vectors(1))
        writer.rollback()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_component_that_is_not_finite_names_its_document(tmp_path: Path, value: float) -> None:
    bad = vectors(5)
    bad[3, DIM - 1] = value
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        with pytest.raises(IndexingError, match="document d3 "):
            writer.add([f"d{i}" for i in range(5)], bad)
        writer.add(["d3"], vectors(1))  # nothing of the block went in
    assert contents_of(tmp_path)[0] == ["d3"]


def test_docids_that_lucene_cannot_hold_are_refused(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        for docid, word in (("", "empty"), ("x" * 40_000, "shorter"), ("a\ud83d", "Unicode")):
            with pytest.raises(IndexingError, match=word):
                writer.add(["fine", docid], vectors(2))
        writer.add(["fine", "x" * 32_766], vectors(2))
    assert len(contents_of(tmp_path)[0]) == 2


def test_wrong_shapes_are_programming_errors(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        with pytest.raises(ValueError, match="shape"):
            writer.add(["a"], vectors(2))
        with pytest.raises(ValueError, match="shape"):
            writer.add(["a"], vectors(1, DIM + 1))
        with pytest.raises(ValueError, match="2 contents"):
            writer.add(["a"], vectors(1), ["x", "y"])
    with pytest.raises(ValueError, match="hnsw"):
        IndexWriter(tmp_path, dimension=DIM, vectors="graph")


def test_an_index_of_another_shape_is_not_appended_to(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM, similarity="inner_product") as writer:
        assert writer.similarity == "inner_product"
        writer.add(["a"], vectors(1))
    with pytest.raises(IndexingError, match=r"8 dimensions, not 9"):
        IndexWriter(tmp_path, dimension=9, append=True)
    with pytest.raises(IndexingError, match=r"inner_product, not l2"):
        IndexWriter(tmp_path, dimension=DIM, append=True, similarity="l2")
    with IndexWriter(tmp_path, dimension=DIM, append=True) as writer:
        assert writer.similarity == "inner_product"
        writer.add(["b"], vectors(1))
    with Index(tmp_path) as index:
        assert (index.num_docs, index.similarity) == (2, "inner_product")


@pytest.mark.parametrize(("lengths", "similarity"), [((1, 1.01), "l2"), ((1, 2), "cosine")])
def test_the_graph_is_built_by_what_suits_the_first_vectors(
    tmp_path: Path, lengths: tuple[float, float], similarity: str
) -> None:
    rows = vectors(20)
    rows *= np.resize(lengths, (20, 1)) / np.linalg.norm(rows, axis=1, keepdims=True)
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        assert writer.similarity == ""
        writer.add([str(i) for i in range(20)], rows)
        assert writer.similarity == similarity
        # Later vectors change nothing.
        writer.add(["long"], 100 * rows[:1])
        writer.commit()
        assert writer.similarity == similarity
    with Index(tmp_path) as index:
        assert index.similarity == similarity


def test_optimize_leaves_one_segment_and_no_deleted_documents(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        for start in range(0, 100, 20):
            writer.add([str(i) for i in range(start, start + 20)], vectors(20))
            writer.commit({"n": str(start)})
        writer.delete(["0", "99"])
        writer.optimize()
        writer.commit({"n": "all"})
    with Index(tmp_path) as index:
        assert index.num_segments == 1
        assert sorted(index.docids(), key=int) == [str(i) for i in range(1, 99)]
        assert index.metadata == {"n": "all"}


def test_metadata_survives_merges_while_closing(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        for i in range(15):
            writer.add([str(i)], vectors(1))
            writer.commit({"consumed": str(i + 1)})
    docids, _, metadata = contents_of(tmp_path)
    assert len(docids) == 15
    assert metadata == {"consumed": "15"}


def test_an_empty_index_can_be_committed_and_grown(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=DIM) as writer:
        writer.commit({"consumed": "0"})
    with Index(tmp_path) as index:
        assert (index.num_docs, index.num_vectors, index.dimension) == (0, 0, 0)
        assert index.metadata == {"consumed": "0"}
        assert list(index.docids()) == []
    with IndexWriter(tmp_path, dimension=DIM, append=True) as writer:
        writer.add(["a"], vectors(1))
    assert contents_of(tmp_path)[0] == ["a"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(IndexingError, match=r"file.*choose another"):
        IndexWriter(tmp_path / "file" / "index", dimension=DIM)


def test_after_a_commit_that_failed_nothing_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "index"
    writer = IndexWriter(path, dimension=DIM)
    writer.add(["a"], vectors(1))
    writer.commit()
    writer.add(["b"], vectors(1))
    shutil.move(path, tmp_path / "away")
    with pytest.raises(IndexingError, match="cannot commit to the index"):
        writer.commit()
    shutil.move(tmp_path / "away", path)
    with pytest.raises(IndexingError, match="an earlier block or commit failed"):
        writer.commit()
    writer.rollback()
    assert contents_of(path)[0] == ["a"]


def test_an_interrupt_is_passed_on_when_all_threads_have_ended(tmp_path: Path) -> None:
    thread = jvm.java_class("java.lang.Thread")
    writer = IndexWriter(tmp_path / "index", dimension=DIM, threads=2)
    thread.currentThread().interrupt()
    with pytest.raises(IndexingError, match="interrupted while documents were added"):
        writer.add([str(i) for i in range(100)], vectors(100))
    assert thread.interrupted()  # and cleared by asking
    with pytest.raises(IndexingError, match="an earlier block or commit failed"):
        writer.commit()
    writer.rollback()


def test_a_full_disk_is_told_with_what_to_do(small_disk) -> None:
    with IndexWriter(small_disk("300k") / "index", dimension=DIM, vectors="flat") as writer:

        def fill() -> None:
            for start in range(0, 20_000, 2_000):
                writer.add([str(start + i) for i in range(2_000)], vectors(2_000))
                writer.commit()

        with pytest.raises(IndexingError, match=r"No space left on device.*make room.*--resume"):
            fill()
        writer.rollback()


def test_long_texts_are_given_to_java_in_parts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer_module, "MOST_TEXT", 100)
    ids = [f"d{number}" for number in range(20)]
    raws = ["x" * (number * 9) for number in range(20)]
    with IndexWriter(tmp_path / "index", dimension=2) as writer:
        writer.add(ids, np.ones((20, 2), np.float32), None, raws)
    with Index(tmp_path / "index") as index:
        assert [index.raw(docid) for docid in ids] == raws
