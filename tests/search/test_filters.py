"""Filters: queries, files of docids, and docids; each index document is `d0000` and so on."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hypserini.errors import IndexingError
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.search.bm25 import Bm25
from hypserini.search.filters import make_filter

COUNT = 4000


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    path = tmp_path_factory.mktemp("filters") / "index"
    docids = [f"d{n:04}" for n in range(COUNT)]
    texts = [f"even{n % 2} report.txt" for n in range(COUNT)]
    with IndexWriter(path, dimension=2, vectors="flat") as writer:
        writer.add(docids, np.ones((COUNT, 2), np.float32), texts, texts)
        writer.commit({})
    with Index(path) as opened:
        yield opened


def count(index: Index, what: object) -> int:
    found = make_filter(index, what)
    assert found is not None
    return found.count


@pytest.mark.parametrize("clauses", [1, 60, 1024, 1025, 3000])
def test_queries_may_be_of_any_length(index: Index, clauses: int) -> None:
    query = " OR ".join(f"id:d{n:04}" for n in range(clauses))
    assert count(index, query) == clauses
    assert count(index, f"({query}) AND contents:even1") == clauses // 2
    with Bm25(index.path) as bm25:
        hits = bm25.search("even1", COUNT, make_filter(index, query))
    assert len(hits) == clauses // 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("even1", COUNT // 2),
        ("contents:even0", COUNT // 2),
        ("contents:report.txt", COUNT),
        ("id:d000*", 10),
        ("/even[0]/", COUNT // 2),
        ("*:*", COUNT),
        ("absent", 0),
    ],
)
def test_queries_are_no_files(
    index: Index, query: str, expected: int, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "even1").mkdir()  # a folder of that name is not meant
    assert count(index, query) == expected


def test_a_file_goes_before_a_query(index: Index, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "even1").write_text("d0001\n")
    assert count(index, "even1") == 1


@pytest.mark.parametrize("where", ["keep.txt", "keep.txt.gz", "folder/keep"])
@pytest.mark.parametrize(
    "text", ["d0001\nd0003\n", "\ufeffd0001\r\n\r\nd0003", "docid\nd0001\nd0003\n"]
)
def test_files_of_docids(index: Index, tmp_path: Path, where: str, text: str, caplog) -> None:
    path = tmp_path / where
    path.parent.mkdir(exist_ok=True)
    data = text.encode()
    path.write_bytes(
        gzip.compress(data[:7]) + gzip.compress(data[7:]) if where.endswith("gz") else data
    )
    assert count(index, str(path)) == count(index, path) == 2
    assert not caplog.records


@pytest.mark.parametrize(
    "name",
    ["kep.txt", "kep.tsv.gz", "kep.docids", "folder/kep", "./kep", "folder/", "a" * 300 + ".txt"],
)
def test_a_file_that_is_not_there_is_no_query(index: Index, name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IndexingError, match=r"the filter file .* (does not exist|cannot be read)"):
        make_filter(index, name)
    with pytest.raises(IndexingError, match=r"the filter file .* (does not exist|cannot be read)"):
        make_filter(index, Path(name))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("f.txt", b"d0001\ncaf\xe9\n", r"f\.txt, line 2: not UTF-8 \(byte 0xe9\)"),
        ("f.gz", b"no gzip", r"f\.gz is a damaged gzip file"),
        ("f.gz", gzip.compress(b"d0001\n" * 99, mtime=0)[:-9], r"f\.gz is a damaged gzip file"),
        ("f.txt", b"d0001\n1 0 d0002 1\n", r"f\.txt, line 2: the id .* contains white space"),
        ("f.txt", b"\n", r"the filter file .*f\.txt is empty"),
    ],
)
def test_damaged_files_are_one_sentence(index: Index, tmp_path, name, data, message) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(IndexingError, match=message):
        make_filter(index, str(tmp_path / name))


def test_unknown_ids_are_counted(index: Index, tmp_path, caplog) -> None:
    path = tmp_path / "keep.txt"
    path.write_text("d0001\nzzz\nd0003\nyyy\nd0001\n")
    with caplog.at_level(logging.WARNING):
        assert count(index, path) == 2
    assert f"the filter file {path}: 2 of its 4 docids are not in the index: 'yyy'" in caplog.text
    caplog.clear()
    path.write_text("zzz\nyyy\n")
    assert count(index, path) == 0
    assert "all of its 2 docids are not in the index" in caplog.text
    caplog.clear()
    assert count(index, ["d0001", "x"]) == 1
    assert "the filter: 1 of its 2 docids are not in the index: 'x'" in caplog.text


def test_what_is_no_filter(index: Index) -> None:
    for query in ("a AND (b", "(" * 20_000, "[a TO", "x" * 5000 + ":(", "\ud800 AND ("):
        with pytest.raises(IndexingError, match="is not a query in Lucene's syntax") as caught:
            make_filter(index, query)
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)
    for docids in ([None], ["a b"], [1.5]):
        with pytest.raises(IndexingError, match="the filter: the id"):
            make_filter(index, docids)
    assert make_filter(index, None) is None


def test_a_query_that_was_searched_under_is_not_run_again(index: Index) -> None:
    filters = {query: make_filter(index, query) for query in ("even0", "even1", "report")}
    assert all(make_filter(index, query) is made for query, made in filters.items())
    for number in range(20):  # the last few are kept
        make_filter(index, f"id:d{number:04}")
    assert make_filter(index, "even1") is not filters["even1"]
