"""Number formats, memory savers, and runs that diverge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hypserini.errors import TrainingError
from hypserini.modeling import load_model
from hypserini.train.recipe.config import parse_config
from hypserini.train.trainer import train

Settings = Callable[..., dict[str, Any]]


def _train(config: dict[str, Any], **trainer: Any) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The weights and the losses of a short run."""
    config["trainer_config"]["hf_trainer_config"] |= {"max_steps": 3} | trainer
    folder = train(parse_config(config), progress=False)
    log = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return load_file(folder / "model.safetensors"), [e["loss"] for e in log if "loss" in e]


@pytest.mark.parametrize("shared", [True, False])
def test_gradient_checkpointing_changes_nothing(shared: bool, settings: Settings) -> None:
    plain, _ = _train(settings("plain", shared_encoder=shared))
    saving, _ = _train(settings("saving", shared_encoder=shared), gradient_checkpointing=True)
    for name, weight in plain.items():
        torch.testing.assert_close(saving[name], weight, msg=name)


def test_accumulated_batches_are_one_large_batch_but_for_its_negatives(settings: Settings) -> None:
    own = {"loss_kwargs": [{"use_in_batch_negatives": False}]}
    base = settings()["model_config"]["base_config"]
    own["base_config"] = base | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    # Not Adam, which would enlarge the rounding errors of gradients that are zero.
    sgd = {"optim": "sgd", "learning_rate": 0.1}
    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    large, losses = _train(settings("large", **own), **sgd)
    small, small_losses = _train(settings("small", **own), **sgd, **halves)
    assert small_losses == pytest.approx(losses, rel=1e-4)
    for name, weight in large.items():
        torch.testing.assert_close(small[name], weight, atol=2e-5, rtol=1e-3, msg=name)


def test_bf16_is_near_fp32_and_keeps_fp32_weights(settings: Settings) -> None:
    _, exact = _train(settings("exact"))
    weights, rough = _train(settings("rough"), bf16=True)
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.05)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
def test_fp16_on_a_cpu_is_left_out_and_that_is_said(
    settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level("INFO"):
        _train(settings(), fp16=True)
    assert "fp16 needs a GPU: training in fp32" in caplog.text
    assert "| Number format | fp32 |" in (tmp_path / "out" / "README.md").read_text()


def test_a_run_that_diverges_stops_at_that_step(settings: Settings, tmp_path: Path) -> None:
    config = settings()
    values = {"learning_rate": 1e30, "max_grad_norm": 0.0, "logging_steps": 100}
    values |= {"save_strategy": "steps", "save_steps": 1, "max_steps": 50}
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step [23]: .*learning_rate"):
        _train(config, **values)
    # What was saved before is sound.
    for checkpoint in (tmp_path / "out").glob("checkpoint-*"):
        load_model(checkpoint, device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("number_format", [{}, {"bf16": True}, {"fp16": True}])
def test_a_gpu_trains_validates_and_stops(
    number_format: dict[str, bool], settings: Settings, beir: Path
) -> None:
    config = settings()
    config["trainer_config"]["validation"] = {"beir": str(beir)}
    _, losses = _train(config, use_cpu=False, max_steps=30, **number_format)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    values = {"learning_rate": 1e30, "max_grad_norm": 0.0, "logging_steps": 100}
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d: "):
        _train(config, use_cpu=False, max_steps=50, **number_format, **values)
