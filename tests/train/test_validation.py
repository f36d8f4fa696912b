"""Validation by retrieval while training, the best model, and stopping early."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hypserini.errors import MeasureError, TrainingError
from hypserini.evaluate import evaluate, mean
from hypserini.modeling import load_model
from hypserini.train.recipe.config import parse_config
from hypserini.train.retrieval_set import read_retrieval_set
from hypserini.train.trainer import train
from hypserini.train.validation import RetrievalValidation

Settings = Callable[..., dict[str, Any]]


def _history(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "trainer_state.json").read_text())["log_history"]


def test_the_figures_are_those_of_scoring_one_by_one(tiny_model: Path, beir: Path) -> None:
    task = read_retrieval_set(beir)
    model = load_model(tiny_model, device="cpu")
    names = ["nDCG@10", "RR@10", "R@3"]
    figures = RetrievalValidation(task, names, batch_size=5)(model)
    run: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        for qid, query in task.queries.items():
            tokens = model.tokenizer([query], return_tensors="pt")
            q_net = model.encode_queries(tokens["input_ids"], tokens["attention_mask"])
            run[qid] = {}
            for docid, text in task.documents.items():
                tokens = model.tokenizer([text], return_tensors="pt")
                vector = model.encode_documents(tokens["input_ids"], tokens["attention_mask"])
                run[qid][docid] = float(q_net(vector))
    expected = evaluate(task.qrels, run, names)
    assert {str(m): mean(values) for m, values in expected.items()} == {
        name: pytest.approx(figures[name]) for name in names
    }
    assert not model.training


def test_the_best_model_is_kept_and_loaded(settings: Settings, beir: Path, tmp_path: Path) -> None:
    def run(folder: Path, **arguments: object) -> dict[int, float]:
        config = settings()
        config["trainer_config"] |= {"validation": {"beir": str(beir)}}
        config["trainer_config"]["hf_trainer_config"] |= {
            "output_dir": str(folder),
            "eval_strategy": "steps",
            "eval_steps": 4,
            "max_steps": 16,
            "logging_steps": 4,
            "learning_rate": 0.004,
            **arguments,
        }
        assert train(parse_config(config), progress=False) == folder
        history = _history(folder)
        assert all("eval_RR@10" in e for e in history if "eval_nDCG@10" in e)
        return {e["step"]: e["eval_nDCG@10"] for e in history if "eval_nDCG@10" in e}

    figures = run(tmp_path / "once")
    assert sorted(figures) == [4, 8, 12, 16]
    assert len(set(figures.values())) > 1
    # Whichever way makes an earlier model better than the last, so that it is not simply kept.
    less_is_more = figures[16] > min(figures.values())
    best = (min if less_is_more else max)(figures.values())
    folder = tmp_path / "again"
    keeping = {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 1}
    keeping |= {"load_best_model_at_end": True, "greater_is_better": not less_is_more}
    assert run(folder, **keeping) == figures
    model = load_model(folder, device="cpu")
    validation = RetrievalValidation(read_retrieval_set(beir), ["nDCG@10"])
    assert validation(model)["nDCG@10"] == pytest.approx(best, abs=1e-6)
    kept = next(path for path in folder.glob("checkpoint-*") if path.name != "checkpoint-16")
    assert f"those of {kept.name}, the best in validation" in (folder / "README.md").read_text()


def test_a_run_that_gets_no_better_stops_as_its_best(
    settings: Settings, beir: Path, tmp_path: Path
) -> None:
    config = settings()
    config["trainer_config"] |= {
        "validation": {"beir": str(beir), "measures": ["RR@10", "nDCG@10"]},
        "early_stopping_patience": 2,
    }
    config["trainer_config"]["hf_trainer_config"] |= {
        "save_strategy": "steps",
        "save_steps": 2,
        "max_steps": 200,
        "learning_rate": 0.0,
    }
    folder = train(parse_config(config), progress=False)
    state = json.loads((folder / "trainer_state.json").read_text())
    assert state["global_step"] == 6
    assert state["best_model_checkpoint"].endswith("checkpoint-2")
    assert state["best_metric"] == next(
        e["eval_RR@10"] for e in _history(folder) if "eval_RR@10" in e
    )
    # Once more, as after a kill: it had stopped, and so it remains.
    config["trainer_config"]["resume_from_checkpoint"] = True
    train(parse_config(config), progress=False)
    state = json.loads((folder / "trainer_state.json").read_text())
    assert state["best_model_checkpoint"].endswith("checkpoint-2")
    assert state["global_step"] <= 7


def test_validation_leaves_the_training_as_it_is(
    settings: Settings, beir: Path, data: Path, tmp_path: Path
) -> None:
    plain = settings("plain")
    validated = settings("validated")
    validated["data_config"]["validation_data_jsonl"] = str(data)
    validated["trainer_config"]["validation"] = {"beir": str(beir)}
    validated["trainer_config"]["hf_trainer_config"] |= {"eval_strategy": "steps", "eval_steps": 2}
    folders = []
    for config in (plain, validated):
        config["trainer_config"]["hf_trainer_config"]["max_steps"] = 5
        folders.append(train(parse_config(config), progress=False))
    weights = [load_model(folder, device="cpu").state_dict() for folder in folders]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    entries = [e for e in _history(folders[1]) if "eval_loss" in e]
    assert [e["step"] for e in entries] == [2, 4, 5]
    assert all("eval_nDCG@10" in e for e in entries)


def test_what_cannot_be_validated_is_said(settings: Settings, beir: Path, tmp_path: Path) -> None:
    config = settings()
    config["trainer_config"]["early_stopping_patience"] = 2
    with pytest.raises(TrainingError, match=r"nothing to validate on.*trainer_config.validation"):
        train(parse_config(config), progress=False)
    config["trainer_config"]["validation"] = {"beir": str(beir)}
    with pytest.raises(TrainingError, match="early_stopping_patience needs an eval_strategy"):
        train(parse_config(config), progress=False)
    config["trainer_config"]["validation"] = {"beir": str(beir), "measures": ["nDGC@10"]}
    config["trainer_config"]["hf_trainer_config"]["save_strategy"] = "steps"
    with pytest.raises(MeasureError, match="nDGC@10"):
        train(parse_config(config), progress=False)
    config["trainer_config"]["validation"] = {"bier": str(beir)}
    with pytest.raises(
        TrainingError, match="validation: there is no key 'bier': did you mean beir"
    ):
        parse_config(config)
