"""An adaptation that was stopped is gone on with, and what a teacher says is of one scale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hypserini.train.adapt.__main__ import main

FEW = ["--queries", "60", "--candidates", "6", "--negatives", "4", "--freeze"]


def _run(index: Path, output: Path, *flags: str) -> int:
    fixed = ["--index", str(index), "--output", str(output), "--device", "cpu", "--quiet"]
    return main([*fixed, *FEW, *flags])


def test_what_was_stopped_is_gone_on_with(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head"
    assert _run(index, head, "--epochs", "2", "--resume") == 0  # nothing there: begun
    work = head / "adaptation"
    made = (work / "train.jsonl").stat().st_mtime_ns
    whole = (head / "model.safetensors").read_bytes()
    assert _run(index, head, "--epochs", "2", "--resume") == 2
    assert "is trained to its end" in capsys.readouterr().err
    for path in head.iterdir():  # as a kill in the second epoch leaves it
        if path.is_file():
            path.unlink()
    assert list(head.glob("checkpoint-*"))
    assert _run(index, head, "--epochs", "3", "--resume") == 2
    assert "was begun with epochs 2.0, not 3.0" in capsys.readouterr().err
    moved = tmp_path / "index"
    shutil.copytree(index, moved)
    assert _run(moved, head, "--epochs", "2", "--resume") == 2
    assert f"are of {index}, not of {moved}" in capsys.readouterr().err
    assert _run(index, head, "--epochs", "2") == 2
    assert "go on with what was begun there by --resume" in capsys.readouterr().err
    assert _run(index, head, "--epochs", "2", "--resume") == 0
    assert (work / "train.jsonl").stat().st_mtime_ns == made
    assert (head / "model.safetensors").read_bytes() == whole
    assert "## Adaptation" in (head / "README.md").read_text()


def test_queries_of_another_head_are_taken(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert _run(index, one, "--epochs", "0.1") == 0
    taken = ["--queries-of", str(one), "--epochs", "0.2", "--blocks", "1"]
    assert _run(index, other, *taken, "--candidates", "7") == 2
    assert "was begun with candidates 6, not 7" in capsys.readouterr().err
    assert _run(index, other, *taken, "--seed", "5") == 2
    assert "was begun with seed 0, not 5" in capsys.readouterr().err
    assert _run(index, other, "--queries-of", str(tmp_path)) == 2
    assert "holds no adaptation" in capsys.readouterr().err
    assert not other.exists()
    moved = tmp_path / "index"
    shutil.copytree(index, moved)
    assert _run(moved, other, *taken) == 2
    assert f"are of {index}, not of {moved}" in capsys.readouterr().err
    assert _run(index, other, *taken) == 0
    for path in (one / "adaptation").iterdir():
        if path.name not in ("options.json", "config.yaml"):
            assert (other / "adaptation" / path.name).read_text() == path.read_text()
    assert "## Adaptation" in (other / "README.md").read_text()


def test_queries_half_made_are_made_anew(index: Path, tmp_path: Path) -> None:
    head = tmp_path / "head"
    (head / "adaptation").mkdir(parents=True)
    (head / "adaptation/train.jsonl").write_text("{")
    assert _run(index, head, "--epochs", "0.1", "--resume") == 0
    shutil.rmtree(head / "adaptation")
    assert _run(index, head, "--epochs", "0.1", "--resume") == 2


@pytest.mark.parametrize("teacher", ["encoder", "bm25"])
def test_one_teacher_is_of_the_same_scale_as_several(
    index: Path, tmp_path: Path, teacher: str
) -> None:
    flags = ["--teacher", teacher, "--epochs", "0.1", "--cross-entropy", "1", "--own-candidates"]
    assert _run(index, tmp_path / "head", *flags) == 0
    lines = (tmp_path / "head/adaptation/train.jsonl").read_text().splitlines()
    for line in lines:
        scores = np.array([item["score"] for item in json.loads(line)["items"]])
        assert abs(scores.mean()) < 1e-3
        assert abs(scores.std() - 1) < 1e-3 or not scores.any()


def test_own_candidates_belong_to_the_cross_entropy(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(index, tmp_path / "head", "--own-candidates") == 2
    assert "--own-candidates belongs to the loss of --cross-entropy" in capsys.readouterr().err
