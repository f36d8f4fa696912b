"""Training data in worker processes: the batches are those of a single process."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hypserini.train.recipe.arguments import training_arguments
from hypserini.train.recipe.config import parse_config
from hypserini.train.trainer import make_trainer, train

Settings = Callable[..., dict[str, Any]]


def _sources(folder: Path, beir: Path) -> dict[str, dict[str, Any]]:
    """The same kind of data from each source; all but the triples have more than is drawn."""
    items = [{"content": f"number {n}", "type": "x"} for n in range(6)]
    lines = [{"query": {"content": f"apple {n}"}, "items": items} for n in range(20)]
    (folder / "many.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "triples.tsv").write_text("".join(f"q{n % 4}\td{n % 4}0\td02\n" for n in range(20)))
    return {
        "jsonl": {"training_data_jsonl": str(folder / "many.jsonl")},
        "hub": {"training_huggingface_dataset": str(folder / "many.jsonl")},
        "beir": {"training_beir": str(beir), "training_data_split": "dev"},
        "triples": {
            "training_triples": str(folder / "triples.tsv"),
            "training_collection": str(beir / "corpus.jsonl"),
            "training_queries": str(beir / "queries.jsonl"),
        },
    }


def _batches(config: dict[str, Any], epochs: int, **loading: Any) -> list[list[dict[str, Any]]]:
    config["trainer_config"]["hf_trainer_config"] |= loading
    parsed = parse_config(config)
    trainer = make_trainer(parsed, training_arguments(parsed.trainer_config, parsed.source))
    loader = trainer.get_train_dataloader()
    pickle.loads(pickle.dumps((loader.dataset, loader.collate_fn)))
    found = []
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        found.append(list(loader))
    return found


@pytest.mark.parametrize("kind", ["jsonl", "hub", "beir", "triples"])
def test_batches_are_the_same_in_workers(
    kind: str, settings: Settings, beir: Path, tmp_path: Path
) -> None:
    if kind == "hub":
        pytest.importorskip("datasets")
    config = settings()
    data = _sources(tmp_path, beir)[kind]
    config["data_config"] = data | {"num_negatives_to_sample": 1, "document_max_length": 8}
    alone = _batches(config, 2)
    many = _batches(config, 2, dataloader_num_workers=2, dataloader_persistent_workers=True)
    assert len(alone[0]) >= 2
    for ours, theirs in zip(alone, many, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one)
    # What is drawn differs from epoch to epoch, for workers that live on as well.
    assert (_negatives(many[0]) != _negatives(many[1])) == (kind != "triples")


def test_a_run_resumed_within_an_epoch_draws_what_it_would_have_drawn(
    settings: Settings, beir: Path, tmp_path: Path
) -> None:
    def config(output: str) -> dict[str, Any]:
        made = settings(output)
        made["data_config"] = {"training_beir": str(beir), "training_data_split": "dev"}
        made["data_config"] |= {"num_negatives_to_sample": 2}
        # Three batches an epoch, so that step 5 is within the second.
        made["trainer_config"]["hf_trainer_config"] |= {
            "per_device_train_batch_size": 4,
            "max_steps": 9,
            "save_strategy": "steps",
            "save_steps": 5,
        }
        return made

    whole = train(parse_config(config("whole")), progress=False)
    shutil.copytree(whole / "checkpoint-5", tmp_path / "resumed" / "checkpoint-5")
    again = config("resumed")
    again["trainer_config"]["resume_from_checkpoint"] = True
    resumed = train(parse_config(again), progress=False)
    expected = load_file(whole / "model.safetensors")
    weights = load_file(resumed / "model.safetensors")
    assert all(torch.equal(expected[name], weights[name]) for name in expected)


def _negatives(batches: list[dict[str, Any]]) -> list[Any]:
    """Each query with its negative, in an order that shuffling does not change."""
    return sorted(
        tuple([token for token in text.tolist() if token] for text in pair)
        for batch in batches
        for pair in zip(batch["query_input_ids"], batch["passage_input_ids"][1::2], strict=True)
    )
