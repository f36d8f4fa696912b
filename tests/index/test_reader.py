"""Opening an index: what it tells, and why it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from segments import write_segments

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.jvm.threads import detached


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments, 300 documents of which 30 are deleted."""
    path = tmp_path_factory.mktemp("indexes") / "made"
    parts = []
    for start in range(0, 300, 100):
        ids = [f"d{i:03}" for i in range(start, start + 100)]
        vectors = np.arange(start * 4, (start + 100) * 4, dtype=np.float32).reshape(100, 4)
        parts.append((ids, vectors, ids, [f"raw of {docid}" for docid in ids]))
    write_segments(path, parts, dimension=4)
    with IndexWriter(path, dimension=4, append=True) as writer:
        writer.delete([f"d{i:03}" for i in range(0, 300, 10)])
        writer.commit({"model": "made"})
    return path


def text_index(path: Path, docids: list[str]) -> None:
    """A plain Lucene index, written with Lucene's own classes: ids and nothing else."""
    new = jvm.java_class
    directory = new("org.apache.lucene.store.FSDirectory").open(
        new("java.nio.file.Paths").get(str(path))
    )
    config = new("org.apache.lucene.index.IndexWriterConfig")()
    writer = new("org.apache.lucene.index.IndexWriter")(directory, config)
    store = new("org.apache.lucene.document.Field$Store").YES
    for docid in docids:
        document = new("org.apache.lucene.document.Document")()
        document.add(new("org.apache.lucene.document.StringField")("id", docid, store))
        writer.addDocument(document)
    writer.close()


def test_it_tells_what_it_holds(path: Path) -> None:
    with Index(path) as index:
        assert index.path == path
        assert index.metadata == {"model": "made"}
        assert (index.dimension, index.similarity) == (4, "cosine")
        assert (index.num_docs, index.num_vectors, index.num_segments) == (270, 270, 3)
        assert list(index.docids()) == [f"d{i:03}" for i in range(300) if i % 10]


def test_documents_are_found_in_every_segment_and_deleted_ones_are_not(path: Path) -> None:
    with Index(path) as index:
        for docid in ("d001", "d150", "d299"):
            expected = None if docid.endswith("0") else f"raw of {docid}"
            assert index.raw(docid) == expected
        assert index.raw("no such") is None
        found = index.vectors(["d299", "d001", "d101"])
        assert found.tolist() == [[*range(i * 4, i * 4 + 4)] for i in (299, 1, 101)]
        for missing in ("d010", "no such"):
            with pytest.raises(IndexingError, match=missing):
                index.vectors(["d001", missing])


def test_many_documents_are_looked_up_at_once(path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hypserini.index.reader.LOOKED_UP_AT_ONCE", 7)
    docids = [f"d{i:03}" for i in range(299, -1, -1)] + ["no such", "", "d001"]
    there = [docid[-1:] not in ("0", "h", "") for docid in docids]
    with Index(path) as index:
        assert index.holds(docids) == there
        expected = [f"raw of {d}" if t else None for d, t in zip(docids, there, strict=True)]
        assert index.stored_fields(docids, "raw") == expected
        assert index.stored_fields(docids, "contents") == [None] * len(docids)
        live = [docid for docid, t in zip(docids, there, strict=True) if t]
        assert index.vectors(live)[:, 0].tolist() == [4.0 * int(docid[1:]) for docid in live]
        assert (index.holds([]), index.stored_fields([], "raw")) == ([], [])
        assert index.vectors([]).shape == (0, 4)


def test_many_threads_may_read_at_once(path: Path) -> None:
    docids = [f"d{i:03}" for i in range(300) if i % 10]
    with Index(path) as index, ThreadPoolExecutor(4) as pool:
        raws = list(pool.map(detached(index.raw), docids * 3))
    assert raws == [f"raw of {docid}" for docid in docids * 3]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match=r"no index at .*nowhere"):
        Index(tmp_path / "nowhere")
    with pytest.raises(IndexingError, match=r"is not a Lucene index.*segments_"):
        Index(tmp_path)


def test_an_index_of_text_alone_is_refused(tmp_path: Path) -> None:
    text_index(tmp_path, ["a", "b"])
    with pytest.raises(IndexingError, match=r"no dense field.*hypserini\.index"):
        Index(tmp_path)


def test_a_damaged_index_is_one_sentence(path: Path, tmp_path: Path) -> None:
    for file in path.iterdir():
        data = file.read_bytes()
        damaged = data[: len(data) // 2] if file.name.startswith("segments_") else data
        (tmp_path / file.name).write_bytes(damaged)
    with pytest.raises(IndexingError, match="cannot be opened") as error:
        Index(tmp_path)
    assert "\n" not in str(error.value)


def test_what_is_committed_later_is_seen_by_later_readers_only(tmp_path: Path) -> None:
    with IndexWriter(tmp_path, dimension=4) as writer:
        writer.add(["a"], np.ones((1, 4), dtype=np.float32))
        writer.commit({"n": "1"})
        with Index(tmp_path) as before:
            writer.add(["b"], np.ones((1, 4), dtype=np.float32))
            writer.commit({"n": "2"})
            assert (before.num_docs, before.metadata) == (1, {"n": "1"})
            with Index(tmp_path) as after:
                assert (after.num_docs, after.metadata) == (2, {"n": "2"})
