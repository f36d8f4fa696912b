"""What is written beside the weights: card, picture, and what goes to the hub."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from hypserini.errors import TrainingError
from hypserini.modeling import load_model
from hypserini.train.recipe.config import parse_config
from hypserini.train.report.history import losses, measures
from hypserini.train.report.plot import plot_history
from hypserini.train.trainer import train

Settings = Callable[..., dict[str, Any]]


def _front_matter(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_tells_the_recipe_and_the_figures(
    settings: Settings, beir: Path, data: Path
) -> None:
    config = settings("my-model", loss_kwargs=[{"temperature": 0.5}])
    config["trainer_config"]["validation"] = {"beir": str(beir)}
    config["trainer_config"]["hf_trainer_config"] |= {
        "max_steps": 4,
        "save_strategy": "steps",
        "save_steps": 2,
        "gradient_accumulation_steps": 2,
        "warmup_steps": 1,
    }
    folder = train(parse_config(config), progress=False)
    card = (folder / "README.md").read_text()
    assert _front_matter(card)["library_name"] == "hypserini"
    assert "# my-model" in card
    assert "a small network of 1 hidden block that" in card
    for told in (
        "cross_entropy {'temperature': 0.5}",
        "64, each with 1 negatives",
        "4 of 16 examples (8 a device, over which negatives are shared)",
        "0.005, linear, 1 warm-up steps",
        "5 (weights), 5 (data)",
        "| Number format | fp32 |",
        "torch 2",
        "![Loss and validation by step](training.svg)",
    ):
        assert told in card
    # The whole configuration is in it, and trains again.
    given = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert parse_config(given) == parse_config(config)
    table = card.split("| step | nDCG@10 | RR@10 |")[1]
    assert [row.split("|")[1].strip() for row in table.splitlines()[2:4]] == ["2", "4"]
    earlier = (folder / "checkpoint-2" / "README.md").read_text()
    assert "2 of 16 examples" in earlier
    assert "training.svg" not in earlier
    assert load_model(folder / "checkpoint-2", device="cpu").tokenizer is not None
    # Nothing that runs code when it is read.
    assert not list(folder.rglob("training_args.bin"))
    assert not (folder / "_partial").exists()


HISTORY = [
    {"step": 1, "loss": 2.0, "grad_norm": 1.0},
    {"step": 2, "loss": 1.0, "eval_loss": 1.5},
    {"step": 2, "eval_nDCG@10": 0.25, "eval_RR(rel=2)": 0.5, "eval_runtime": 3.0},
    {"step": 2, "train_runtime": 9.0},
]


def test_the_log_becomes_curves() -> None:
    assert losses(HISTORY) == {"loss": [(1, 2.0), (2, 1.0)], "eval_loss": [(2, 1.5)]}
    assert measures(HISTORY) == {"nDCG@10": [(2, 0.25)], "RR(rel=2)": [(2, 0.5)]}


def test_the_picture_shows_losses_and_validations(tmp_path: Path) -> None:
    path = tmp_path / "run.svg"
    assert plot_history(HISTORY, path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert all(f"<!-- {name} -->" in path.read_text() for name in ("eval_loss", "nDCG@10", "step"))
    assert not plot_history([], tmp_path / "empty.svg")


def test_without_matplotlib_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with caplog.at_level("INFO"):
        assert not plot_history(HISTORY, tmp_path / "run.svg")
    assert "pip install 'hypserini[plot]'" in caplog.text
    assert not (tmp_path / "run.svg").exists()


def test_the_hub_gets_model_tokenizer_and_card(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    pushed: list[tuple[str, set[str]]] = []

    def create(self: Any, repo_id: str, **kwargs: Any) -> Any:
        return SimpleNamespace(repo_id=f"me/{repo_id}")

    def upload(self: Any, *, repo_id: str, folder_path: str, **kwargs: Any) -> Any:
        names = {path.name for path in Path(folder_path).iterdir() if path.is_file()}
        pushed.append((repo_id, names))
        return SimpleNamespace(done=lambda: True, is_done=lambda: True, result=lambda: None)

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    config = settings("pushed")
    config["trainer_config"]["hf_trainer_config"] |= {
        "push_to_hub": True,
        "hub_model_id": "tiny",
        "hub_strategy": "every_save",
        "max_steps": 2,
        "save_strategy": "steps",
        "save_steps": 1,
    }
    folder = train(parse_config(config), progress=False)
    assert len(pushed) >= 2
    for repo, names in pushed:
        assert repo == "me/tiny"
        assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= names
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: hypserini\n")


def test_reports_that_cannot_be_made_are_named(settings: Settings) -> None:
    from transformers.integrations import is_tensorboard_available

    if is_tensorboard_available():
        pytest.skip("TensorBoard is installed")
    config = settings()
    config["trainer_config"]["hf_trainer_config"]["report_to"] = "tensorboard"
    with pytest.raises(TrainingError, match="TensorBoard"):
        train(parse_config(config), progress=False)
