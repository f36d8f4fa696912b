"""A run that is killed goes on to the same weights as one that is not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import files_of_at_most
from safetensors.torch import load_file

from hypserini.errors import OutputError, TrainingError
from hypserini.modeling import load_model
from hypserini.train.__main__ import main
from hypserini.train.checkpoints import whole_files
from hypserini.train.recipe.config import parse_config
from hypserini.train.retrieval_set import read_retrieval_set
from hypserini.train.trainer import train
from hypserini.train.validation import RetrievalValidation

pytestmark = pytest.mark.long

Settings = Callable[..., dict[str, Any]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def _dropping_out(settings: Settings, output: str) -> dict[str, Any]:
    """Eight batches of two an epoch, so 3 epochs, with dropout, accumulation and two rates."""
    config = settings(output)
    converter = config["model_config"]["query_encoder_kwargs"]["converter_kwargs"]
    converter |= {"do_dropout": True}
    config["trainer_config"]["learning_rate_factors"] = {"word_embeddings": 3.0}
    config["trainer_config"]["hf_trainer_config"] |= {
        "gradient_accumulation_steps": 2,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 3,
        "weight_decay": 0.01,
        "max_steps": 12,
        "save_strategy": "steps",
        "save_steps": 3,
        "save_total_limit": 2,
    }
    return config


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def _assert_equal(one: Path, other: Path) -> None:
    expected, weights = _weights(one), _weights(other)
    assert expected.keys() == weights.keys()
    assert all(torch.equal(expected[name], weights[name]) for name in expected)


# 8 batches, of 4 steps, are an epoch: batch 11 is the 6th step, batch 18 the 9th and in epoch 3.
@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(11, id="within-an-epoch"),
        pytest.param(18, id="at-an-epochs-end", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_to_the_same_weights(
    batch: int,
    settings: Settings,
    command: Command,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    uninterrupted = train(parse_config(_dropping_out(settings, "whole")), progress=False)
    config = _dropping_out(settings, "killed")
    if batch == 18:
        config["trainer_config"]["hf_trainer_config"] |= {
            "save_steps": 4,
            "dataloader_num_workers": 1,
            "dataloader_persistent_workers": True,
        }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    command(path, "--quiet", killed_at=batch)
    folder = tmp_path / "killed"
    saved = sorted(path.name for path in folder.glob("checkpoint-*"))
    assert saved == (["checkpoint-3"] if batch == 11 else ["checkpoint-4", "checkpoint-8"])
    assert not (folder / "model.safetensors").exists()
    # As if killed once more, while it saved.
    half = folder / "checkpoint-9"
    half.mkdir()
    shutil.copy(folder / saved[0] / "config.json", half)
    (half / "model.safetensors").write_bytes(
        (folder / saved[0] / "model.safetensors").read_bytes()[:1000]
    )
    (half / "trainer_state.json").write_text('{"epoch": 1.0, "best_')
    assert main([str(path), "--quiet", "--resume"]) == 0
    assert "checkpoint-9 is half-written" in caplog.text
    _assert_equal(uninterrupted, folder)
    state = json.loads((folder / "trainer_state.json").read_text())
    assert [e["step"] for e in state["log_history"] if "loss" in e] == list(range(1, 13))


def test_resuming_without_a_checkpoint_begins(settings: Settings, tmp_path: Path) -> None:
    config = _dropping_out(settings, "fresh")
    config["trainer_config"]["resume_from_checkpoint"] = True
    config["trainer_config"]["hf_trainer_config"] |= {"max_steps": 2, "save_strategy": "no"}
    folder = train(parse_config(config), progress=False)
    assert load_model(folder, device="cpu").dim == 16


def test_an_earlier_runs_checkpoints_are_kept_apart(settings: Settings, tmp_path: Path) -> None:
    config = _dropping_out(settings, "out")
    trainer = config["trainer_config"]["hf_trainer_config"]
    trainer |= {"max_steps": 2, "save_steps": 2}
    folder = train(parse_config(config), progress=False)
    trainer |= {"max_steps": 1, "save_steps": 1}
    train(parse_config(config), progress=False)
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-1"]
    assert (folder / "earlier-1" / "checkpoint-2" / "trainer_state.json").is_file()
    trainer["overwrite_output_dir"] = True
    train(parse_config(config), progress=False)
    assert not (folder / "earlier-2").exists()


def test_what_cannot_be_resumed_is_said(settings: Settings, tmp_path: Path) -> None:
    config = _dropping_out(settings, "out")
    config["trainer_config"]["resume_from_checkpoint"] = str(tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="nowhere is no complete checkpoint"):
        train(parse_config(config), progress=False)
    config["trainer_config"]["resume_from_checkpoint"] = False
    config["trainer_config"]["hf_trainer_config"] |= {
        "max_steps": 1,
        "save_steps": 1,
        "save_only_model": True,
    }
    train(parse_config(config), progress=False)
    config["trainer_config"]["resume_from_checkpoint"] = True
    with pytest.raises(TrainingError, match=r"without its optimizer.*checkpoint_path"):
        train(parse_config(config), progress=False)


def test_a_folder_of_the_users_is_not_taken_for_a_half_written_model(
    settings: Settings, tmp_path: Path
) -> None:
    config = _dropping_out(settings, "out")
    theirs = tmp_path / "out" / "_partial"
    theirs.mkdir(parents=True)
    (theirs / "thesis.tex").touch()
    with pytest.raises(TrainingError, match="_partial, where the model would be written, exists"):
        train(parse_config(config), progress=False)
    assert [path.name for path in theirs.iterdir()] == ["thesis.tex"]


def test_a_model_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("old")
    left = tmp_path / "_partial"
    left.mkdir()
    (left / "hypserini.lock").touch()  # by a process that was killed
    (left / "model.safetensors").touch()

    def write(size: int) -> None:
        with whole_files(tmp_path) as partial, files_of_at_most(1000):
            assert [path.name for path in partial.iterdir()] == ["hypserini.lock"]
            (partial / "config.json").write_text("new" * size)

    with pytest.raises(OutputError, match=rf"cannot write {tmp_path} \(File too large\)"):
        write(1000)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert (tmp_path / "config.json").read_text() == "old"
    write(1)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert (tmp_path / "config.json").read_text() == "new"


def test_a_checkpoint_that_finds_no_room_is_told(settings: Settings, tmp_path: Path) -> None:
    config = _dropping_out(settings, "out")
    with pytest.raises(OutputError, match="cannot write"), files_of_at_most(10_000):
        train(parse_config(config), progress=False)


@pytest.mark.slow  # four trainings in processes of their own; what they share has tests of its own
def test_two_processes_validate_and_resume_alike(
    settings: Settings, command: Command, beir: Path, tmp_path: Path
) -> None:
    config = _dropping_out(settings, "two")
    config["trainer_config"]["validation"] = {"beir": str(beir)}
    path, folder = tmp_path / "config.yaml", tmp_path / "two"
    trainer = config["trainer_config"]["hf_trainer_config"]
    trainer |= {"max_steps": 6, "ddp_backend": "gloo", "save_total_limit": 5}
    trainer |= {"gradient_checkpointing": True}
    path.write_text(yaml.safe_dump(config))
    first = command(path, "--quiet", processes=2)
    assert first.stdout.count("The model is in") == 1
    shutil.copytree(folder, tmp_path / "first")
    shutil.rmtree(folder / "checkpoint-6")
    command(path, "--quiet", "--resume", processes=2)
    _assert_equal(tmp_path / "first", folder)
    state = json.loads((folder / "trainer_state.json").read_text())
    # 64 examples are 8 batches, 4 for each process, and 2 steps an epoch.
    assert state["epoch"] == 3.0
    # Each process ranked half of the documents.
    alone = RetrievalValidation(read_retrieval_set(beir), ["nDCG@10", "RR@10"])
    figures = alone(load_model(folder, device="cpu"))
    logged = next(e for e in state["log_history"] if "eval_RR@10" in e and e["step"] == 6)
    for name in ("nDCG@10", "RR@10"):
        assert logged[f"eval_{name}"] == pytest.approx(figures[name])
