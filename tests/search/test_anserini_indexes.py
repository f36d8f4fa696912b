"""Indexes that Anserini made from our vectors are searched as they are, in every mode."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

import pytest
from conftest import write_jsonl
from rankings import scores_like

from hypserini import LuceneHypencoderSearcher, jvm
from hypserini.encode.__main__ import main as encode
from hypserini.jvm import jar
from hypserini.search.modes.table import MODES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COLLECTIONS = {
    "jsonl": "JsonDenseVectorCollection",
    "parquet": "ParquetDenseVectorCollection",
}
KINDS = ["hnsw", "hnsw-quantized", "flat", "flat-quantized"]
QUANTIZE = f"-quantize.{'int8' if jar.lucene_line(jar.anserini_jar()) == 9 else 'sqv'}"


@pytest.fixture(scope="module")
def anserini_indexes(tmp_path_factory, collection: Path, tiny_model: Path) -> Path:
    """A folder with all `KINDS`, made by Anserini's indexers from vectors that we exported."""
    folder = tmp_path_factory.mktemp("anserini")
    for kind, format in (("Hnsw", "jsonl"), ("Flat", "parquet")):
        vectors = folder / format
        flags = ["--collection", collection, "--model", tiny_model, "--format", format]
        arguments = [*flags, "--output", vectors, "--device", "cpu", "--quiet"]
        assert encode([*map(str, arguments)]) == 0
        command = [jvm.find_jdk() / "bin" / "java", "--add-modules", "jdk.incubator.vector"]
        command += ["-cp", jar.anserini_jar(), f"io.anserini.index.Index{kind}DenseVectors"]
        command += ["-collection", COLLECTIONS[format], "-input", vectors, "-threads", 1]
        for index, quantized in ((kind.lower(), []), (f"{kind.lower()}-quantized", [QUANTIZE])):
            made = [*command, "-index", folder / index, *quantized]
            subprocess.run([*map(str, made)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_anserinis_indexes_are_searched_in_every_mode(
    anserini_indexes: Path, index: Path, topics, tiny_model: Path, kind: str, mode: str
) -> None:
    queries, qids = list(topics.values()), list(topics)
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        expected = searcher.batch_search(queries, qids, 20)
    theirs = LuceneHypencoderSearcher(anserini_indexes / kind, str(tiny_model), device="cpu")
    with theirs as searcher:
        if mode == "rerank":
            found = searcher.batch_rerank(queries, qids, expected)
        else:
            found = searcher.batch_search(queries, qids, 20, mode=mode)
    shared = 0
    for qid, hits in found.items():
        scores = {hit.docid: hit.score for hit in expected[qid]}
        assert len(hits) == 20
        shared += sum(hit.docid in scores for hit in hits)
        common = {hit.docid: hit.score for hit in hits if hit.docid in scores}
        assert common == scores_like({docid: scores[docid] for docid in common})
    least = 1.0 if mode in ("exhaustive", "rerank") else 0.5
    assert shared >= least * 20 * len(topics)


def test_a_head_is_trained_over_anserinis_vectors_and_searches_them(
    anserini_indexes: Path, tiny_model: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    items = [{"id": f"doc{n:04}"} for n in range(8)]
    lines = [{"query": {"content": "graph"}, "items": items[n:] + items[:n]} for n in range(8)]
    write_jsonl(tmp_path / "train.jsonl", lines)
    index, output = anserini_indexes / "hnsw-quantized", tmp_path / "head"
    arguments = [index, tiny_model, tmp_path / "train.jsonl", output, "graph search"]
    monkeypatch.setattr("sys.argv", ["head_over_index.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / "head_over_index.py"), run_name="__main__")
    before, after = capsys.readouterr().out.splitlines()[-2:]
    assert [len(line.split()) for line in (before, after)] == [6, 6]
