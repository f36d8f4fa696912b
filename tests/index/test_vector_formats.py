"""Every format of vectors that this Lucene has, in every mode, beside the graph of raw floats."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from conftest import make_documents, write_jsonl
from rankings import assert_same_ranking

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
from hypserini.formats.runs import read_run
from hypserini.index.__main__ import main as build
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index
from hypserini.index.vector_formats import VECTOR_FORMATS
from hypserini.index.writer import IndexWriter
from hypserini.jvm import jar
from hypserini.search.__main__ import main as search
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.tangent import TangentOptions

LINE = jar.lucene_line(jar.anserini_jar())
HERE = [name for name, format in VECTOR_FORMATS.items() if format.line <= LINE]
DOCS, DELETED, K = 1600, 200, 10
MODES = {
    "exhaustive": None,
    "tangent": TangentOptions(fetch=256, ef=600, rounds=5),
    "tangent, raw floats": TangentOptions(fetch=256, ef=600, rounds=5, steering="floats"),
    "graph": GraphOptions(num_entry_points=300, ncandidates=40),
    "rerank": None,
}


@pytest.fixture(scope="module")
def indexes(tmp_path_factory, tiny_model: Path) -> dict[str, Path]:
    """One index a format, of two segments with graphs, in which some documents are deleted."""
    documents = make_documents(DOCS)
    for number, document in enumerate(documents):
        document["id"] = f"d{number // 2:03}#{number % 2}"
    folder = tmp_path_factory.mktemp("formats")
    flags = ["--model", str(tiny_model), *"--quiet --device cpu --max-length 32".split()]
    halves = [documents[: DOCS // 2], documents[DOCS // 2 :]]
    files = [write_jsonl(folder / f"{n}.jsonl", half) for n, half in enumerate(halves)]
    deleted = [document["id"] for document in random.Random(1).sample(documents, DELETED)]
    for name in HERE:
        index, parts = folder / name, [str(folder / f"{name}.{n}") for n in range(2)]
        for file, part in zip(files, parts, strict=True):
            made = ["--collection", str(file), "--index", part, "--vectors", name]
            assert build([*made, *flags]) == 0
        assert build(["--merge", *parts, "--index", str(index), "--quiet"]) == 0
        with IndexWriter(index, dimension=32, vectors=name, append=True) as writer:
            writer.delete(deleted)
    return {name: folder / name for name in HERE}


@pytest.mark.parametrize("name", HERE)
def test_an_index_knows_its_format_and_keeps_raw_floats(indexes, name: str) -> None:
    with Index(indexes["flat"]) as flat, Index(indexes[name]) as index:
        metadata = IndexMetadata.from_user_data(index.metadata, str(index.path))
        docids = list(flat.docids())
        assert len(docids) == DOCS - DELETED
        assert np.array_equal(index.vectors(docids), flat.vectors(docids))
        assert index.num_segments >= 2
    assert metadata is not None
    assert metadata.vectors == name


@pytest.mark.parametrize("filter", [None, "contents:graph"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", HERE)
def test_hits_are_those_of_the_raw_graph(indexes, topics, name: str, mode: str, filter) -> None:
    queries, qids = list(topics.values()), list(topics)
    found = {}
    for one in (name, "hnsw"):
        with LuceneHypencoderSearcher(indexes[one], device="cpu") as searcher:
            how = {"k": K, "filter": filter}
            exact = searcher.batch_search(queries, qids, mode="exhaustive", **how)
            if mode == "rerank":
                found[one] = searcher.batch_rerank(queries, qids, exact, k=K)
            else:
                how["options"] = MODES[mode]
                found[one] = searcher.batch_search(queries, qids, mode=mode.split(",")[0], **how)
    for qid in qids:
        assert_same_ranking(found[name][qid], found["hnsw"][qid])
        assert len(found[name][qid]) == K


@pytest.mark.parametrize("name", HERE)
def test_fusion_passages_and_first_stages_give_the_same_run(
    indexes, topics_file, tmp_path: Path, name: str
) -> None:
    for how in ("--hybrid rrf --max-passage", "--first-stage bm25 --rerank-depth 50"):
        runs = []
        for one in (name, "hnsw"):
            output = tmp_path / f"{one}.txt"
            flags = ["--index", indexes[one], "--topics", topics_file, "--output", output]
            assert search([*map(str, flags), *how.split(), "--quiet", "--device", "cpu"]) == 0
            runs.append(read_run(output))
        assert len(runs[1]) == 10
        for qid, hits in runs[1].items():
            assert_same_ranking(runs[0][qid], hits)


QUANTISED_BY_ANGLE = [name for name in HERE if name in ("hnsw-int8", "hnsw-int4")]


@pytest.mark.parametrize("name", QUANTISED_BY_ANGLE)
def test_a_vector_without_an_angle_is_refused_before_it_is_quantised(tmp_path: Path, name: str):
    rows = np.ones((3, 8), np.float32)
    rows[1] = 0
    with IndexWriter(tmp_path / "l2", dimension=8, vectors=name, similarity="l2") as writer:
        writer.add(["a", "b", "c"], rows)
    with IndexWriter(tmp_path / "cosine", dimension=8, vectors=name, similarity="cosine") as writer:
        with pytest.raises(IndexingError, match=r"document b has the length 0.* --vectors hnsw"):
            writer.add(["a", "b", "c"], rows)
        writer.add(["a", "c"], rows[::2])
        writer.commit({})
    with Index(tmp_path / "cosine") as index:
        assert sorted(index.docids()) == ["a", "c"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", [name for name in HERE if name != "flat"])
def test_every_vector_ends_in_a_graph(tmp_path: Path, name: str, threads: int) -> None:
    """However it was committed, in whatever order, and also what is added later."""
    rows = np.random.default_rng(0).standard_normal((2500, 16), dtype=np.float32)
    ids = [f"{number:04}" for number in range(len(rows))]
    settings = {"dimension": 16, "vectors": name, "threads": threads, "similarity": "l2"}
    for append, numbers in ((False, range(0, 2400, 300)), (True, range(2400, 2500, 20))):
        with IndexWriter(tmp_path, append=append, **settings) as writer:
            for start in numbers:
                block = slice(start, min(start + numbers.step, len(rows)))
                writer.add(ids[block], rows[block])
                writer.commit({})
    with Index(tmp_path) as index:
        assert len(list(tmp_path.glob("*.vex"))) == index.num_segments <= 4
        if threads == 1:
            assert list(index.docids()) == ids
        assert np.array_equal(index.vectors(ids), rows)


@pytest.mark.skipif(LINE == 9, reason="this Lucene has no format of 1 bit")
def test_graphs_of_one_bit_are_not_built_by_angles(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((400, 64), np.float32)
    rows *= np.linspace(0.2, 2, 400, dtype=np.float32)[:, None]
    how = {"dimension": 64, "vectors": "hnsw-bbq"}
    with pytest.raises(IndexingError, match=r"no sound graph .* choose l2, inner_product"):
        IndexWriter(tmp_path / "refused", similarity="cosine", **how)
    with IndexWriter(tmp_path / "index", **how) as writer:
        writer.add([str(i) for i in range(400)], rows)
        assert writer.similarity == "inner_product"


@pytest.mark.skipif(LINE > 9, reason="this Lucene has all formats")
@pytest.mark.parametrize("name", ["hnsw-int4", "hnsw-bbq"])
def test_a_format_of_the_newer_lucene_is_refused_in_one_sentence(
    tmp_path: Path, collection: Path, name: str, capsys
) -> None:
    flags = ["--collection", collection, "--model", tmp_path / "no-model", "--vectors", name]
    assert build([*map(str, flags), "--index", str(tmp_path / "index")]) == 2
    said = capsys.readouterr().err
    assert "choose one of hnsw, hnsw-int8, flat, or install Pyserini 2.4" in said
    assert not list(tmp_path.iterdir())


def test_a_build_is_not_resumed_in_another_format(
    tmp_path: Path, tiny_model: Path, collection: Path, capsys
) -> None:
    documents = collection.read_text().splitlines()
    broken = tmp_path / "corpus.jsonl"
    broken.write_text("\n".join([*documents[:300], "{", *documents[301:]]) + "\n")
    flags = ["--collection", broken, "--model", tiny_model, "--index", tmp_path / "index"]
    flags += ["--batch-size", 1, "--commit-every", 0, "--quiet", "--device", "cpu"]
    assert build([*map(str, flags), "--vectors", "hnsw-int8"]) == 2
    broken.write_text("\n".join(documents) + "\n")
    capsys.readouterr()
    assert build([*map(str, flags), "--resume"]) == 2
    assert "begun with vectors hnsw-int8" in capsys.readouterr().err
    assert build([*map(str, flags), "--resume", "--vectors", "hnsw-int8"]) == 0
