"""The benchmarks of heads over frozen vectors and of nested sizes, end to end on small things."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl

from benchmarks import heads, nested


@pytest.mark.slow
def test_heads_are_trained_once_and_compared_on_what_was_held_out(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = make_documents(60, seed=4)
    pairs = [
        {
            "query": {"content": " ".join(d["contents"].split()[:4])},
            "items": [{**d, "content": d["contents"]}],
        }
        for d in documents
    ]
    write_jsonl(tmp_path / "pairs.jsonl", pairs)
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    write_jsonl(beir / "corpus.jsonl", [{"_id": d["id"], "text": d["contents"]} for d in documents])
    write_jsonl(beir / "queries.jsonl", [{"_id": "q1", "text": "graph index"}])
    (beir / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tdoc0001\t1\n")
    flags = ["--pairs", tmp_path / "pairs.jsonl", "--encoder", tiny_model, "--seeds", 0, 1]
    flags += ["--folder", tmp_path / "work", "--epochs", 0.1, "--variants", "dot-product-tuned"]
    flags += ["--also", f"beir={beir}", "--results", tmp_path / "heads.json", "--device", "cpu"]
    assert heads.main([*map(str, flags), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "## held-out, 6 topics" in printed
    assert "## beir, 1 topics" in printed
    assert "±" in printed
    found = json.loads((tmp_path / "heads.json").read_text())["held-out"]["systems"]
    assert len(found["dot-product-tuned, first stage"]["nDCG@10"]) == 2
    assert len(found["encoder, hybrid"]["R@100"]) == 1
    model = tmp_path / "work/models/dot-product-tuned.0"
    before = (model / "config.json").stat().st_mtime_ns
    assert heads.main([*map(str, flags), "--quiet"]) == 0
    assert (model / "config.json").stat().st_mtime_ns == before
    flags[flags.index(0.1)] = 0.2
    assert heads.main([*map(str, flags), "--quiet"]) == 2
    assert "was begun with epochs 0.1, not 0.2" in capsys.readouterr().err


def test_sizes_and_cascades_are_measured(
    index: Path,
    tiny_model: Path,
    topics_file: Path,
    topics: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    config["query_encoder_kwargs"]["nested"] = [1]
    (model / "config.json").write_text(json.dumps(config))
    (tmp_path / "qrels.txt").write_text("".join(f"{qid} 0 doc0007 1\n" for qid in topics))
    flags = ["--index", index, "--topics", topics_file, "--qrels", tmp_path / "qrels.txt"]
    flags += ["--depth", 400, "--device", "cpu", "--alone", tiny_model, "--model"]
    assert nested.main([*map(str, flags), str(model)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (whole,) = [line for line in lines if line[:1] == ["2"]]
    assert whole[1] == whole[2]  # the same weights, alone
    (cascade,) = [line for line in lines if line[:3] == ["1", "->", "2"]]
    assert cascade[4] == "1.0000"  # all documents are handed on
    assert nested.main([*map(str, flags), str(tiny_model)]) == 2
    assert "was not trained in nested sizes" in capsys.readouterr().err
