"""An index whose files are damaged is named as such, whatever of it is read."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hypserini import LuceneHypencoderSearcher, jvm
from hypserini.errors import HypseriniError, IndexingError
from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.search.bm25 import Bm25, Bm25Options
from hypserini.search.filters import Filter
from hypserini.search.modes.first_stage import Bm25Stage
from hypserini.search.modes.rerank import RerankOptions

IDS = [f"doc{number:04}" for number in range(0, 400, 20)]


@pytest.fixture(scope="module")
def source(tmp_path_factory, tiny_model: Path, collection: Path) -> Path:
    """An index in one segment with a graph."""
    path = tmp_path_factory.mktemp("indexes") / "whole"
    options = IndexOptions(optimize=True, max_length=8)
    build_index(collection, path, str(tiny_model), options, progress=False)
    return path


@pytest.fixture(scope="module")
def query(source: Path):
    with LuceneHypencoderSearcher(source, device="cpu") as searcher:
        return searcher.encoder.encode(["graph walk"])[0]


def readings(path: Path, query) -> Iterator[Callable[[], object]]:
    """Everything that reads an index."""
    with LuceneHypencoderSearcher(path, device="cpu") as searcher:
        for mode in ("exhaustive", "tangent", "graph"):
            yield lambda mode=mode: searcher.search(query, 10, mode=mode)
        yield lambda: searcher.rerank(query, IDS)
        yield lambda: searcher.doc(IDS[3])
        yield lambda: list(searcher.index.docids())
        yield lambda: searcher.index.vectors(IDS)
        yield lambda: Filter.matching(searcher.index, "contents:graph")
        yield lambda: Filter.listed(searcher.index, IDS)
        stage = Bm25Stage(Bm25(path), 20, {"q": "graph"})
        options = RerankOptions(stage, adaptive=True)
        yield lambda: searcher.batch_search([query], ["q"], mode="rerank", options=options)
    yield lambda: Bm25(path).search("graph walk")
    yield lambda: Bm25(path, Bm25Options(rm3=True)).search("graph walk")


def zeros(data: bytes) -> bytes:
    """The middle of a file lost, as by a disk; its ends are what Lucene looks at first."""
    quarter = len(data) // 4
    return data[:quarter] + bytes(len(data) - 2 * quarter) + data[len(data) - quarter :]


def complaints(path: Path, query) -> list[str]:
    said = []
    try:
        for reading in readings(path, query):
            try:
                reading()
            except HypseriniError as error:  # anything else is a fault of ours
                if "has no graph" not in str(error):  # Lucene 10 makes none for so few documents
                    said.append(str(error))
    except HypseriniError as error:  # it does not open
        said.append(str(error))
    return said


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "nothing": lambda data: b"",
    "zeros": zeros,
    "ones": lambda data: data[:60] + b"\xff" * max(0, len(data) - 120) + data[-60:],
}


@pytest.mark.parametrize("harm", HARMS)
def test_no_damage_is_a_fault_of_ours(harm: str, source: Path, query, tmp_path: Path) -> None:
    assert complaints(source, query) == []
    told = 0
    for name in sorted(path.name for path in source.iterdir() if path.stat().st_size):
        if name.startswith("hypserini"):
            continue
        copy = shutil.copytree(source, tmp_path / name)
        (copy / name).write_bytes(HARMS[harm]((copy / name).read_bytes()))
        said = complaints(copy, query)
        told += bool(said)
        for message in said:
            assert str(copy) in message or "not a number" in message, message
            assert "not a query" not in message
    assert told > 5


def test_an_error_leaves_nothing_that_ends_the_process(source: Path, query, tmp_path: Path) -> None:
    """What of Java's is in the traceback of an error goes with it, when that is garbage."""
    copy = shutil.copytree(source, tmp_path / "copy")
    [docids] = copy.glob("*.dvd")
    docids.write_bytes(HARMS["ones"](docids.read_bytes()))
    assert complaints(copy, query)
    gc.collect()  # a Java array freed by it, not by its count, was a segmentation fault


@pytest.mark.parametrize("suffix", [".fdt", ".vec", ".tim", ".doc"])
def test_a_file_that_is_gone_is_named(suffix: str, source: Path, query, tmp_path: Path) -> None:
    copy = shutil.copytree(source, tmp_path / "copy")
    [file] = copy.glob(f"*{suffix}")
    file.unlink()
    [message] = complaints(copy, query)[:1]
    assert file.name in message
    assert "build the index again, or copy it whole" in message


def test_a_closed_index_says_so(source: Path, query) -> None:
    searcher = LuceneHypencoderSearcher(source, device="cpu")
    searcher.close()
    with pytest.raises(IndexingError, match="was closed: open it again"):
        searcher.search(query, 3, mode="exhaustive")


def test_a_query_that_is_too_much_for_lucene_is_told_from_damage(source: Path) -> None:
    allowed = jvm.java_class("org.apache.lucene.search.IndexSearcher").getMaxClauseCount()
    words = " ".join(f"word{number}" for number in range(2 * allowed))
    with Bm25(source) as bm25, pytest.raises(IndexingError, match="asks too much of Lucene"):
        bm25.search(words)
    with LuceneHypencoderSearcher(source) as searcher:
        for query in ("a AND", "/[/", "(" * 20_000, "word~5.5"):
            with pytest.raises(IndexingError, match="is not a query in Lucene's syntax"):
                Filter.matching(searcher.index, query)
