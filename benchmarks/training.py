"""Training through transformers' Trainer against a bare torch loop over the same model and data.

Both tokenise the same JSON lines on the fly, with the same batches, number format, optimizer and
clipping of gradients; the Trainer's preparations at its start count too, no model is saved. Then
the memory of in-batch scoring (`scoring_memory`).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from benchmarks import scoring_memory
from benchmarks.machine import best_of, table
from hypserini.demo.tokenizer import train_wordpiece
from hypserini.train.recipe.arguments import training_arguments
from hypserini.train.recipe.config import TrainingConfig, parse_config
from hypserini.train.trainer import make_trainer

VOCABULARY = 2000
WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("n", "r", "st", "x", "")]


class Shape(NamedTuple):
    """A model and its batches."""

    width: int
    layers: int
    blocks: int
    queries: int
    items: int


# About the bundled model, and one of the paper's depth, small enough for two cores.
SHAPES = [Shape(256, 2, 2, 16, 2), Shape(128, 4, 6, 8, 8)]


def write_data(path: Path, examples: int, items: int) -> None:
    """Write queries of 8 words and documents of 24, with teacher's scores."""
    draw = random.Random(0)

    def text(words: int) -> str:
        return " ".join(draw.choices(WORDS, k=words))

    with path.open("w", encoding="utf-8") as file:
        for _ in range(examples):
            documents = [{"content": text(24), "score": float(i == 0)} for i in range(items)]
            file.write(json.dumps({"query": {"content": text(8)}, "items": documents}) + "\n")


def configure(folder: Path, shape: Shape, steps: int, bf16: bool) -> TrainingConfig:
    """The configuration that a user would write, of the paper's losses."""
    base = {
        "model_type": "bert",
        "vocab_size": VOCABULARY,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.width // 32,
        "intermediate_size": 4 * shape.width,
        "max_position_embeddings": 64,
    }
    data = folder / f"{shape.items}.jsonl"
    write_data(data, steps * shape.queries, shape.items)
    q_net = {"vector_dimensions": [shape.width] * (shape.blocks + 1) + [1]}
    return parse_config(
        {
            "model_config": {
                "tokenizer_pretrained_model_name_or_path": str(folder / "tokenizer"),
                "base_config": base,
                "query_encoder_kwargs": {"converter_kwargs": q_net},
                "loss_type": ["margin_mse", "cross_entropy"],
                "loss_kwargs": [{}, {"only_use_first_item": True}],
            },
            "data_config": {
                "training_data_jsonl": str(data),
                "num_negatives_to_sample": shape.items - 1,
                "document_max_length": 64,
            },
            "trainer_config": {
                "hf_trainer_config": {
                    "output_dir": str(folder / "out"),
                    "per_device_train_batch_size": shape.queries,
                    "learning_rate": 2e-5,
                    "max_steps": steps,
                    "logging_steps": 10,
                    "save_strategy": "no",
                    "bf16": bf16,
                }
            },
        }
    )


def prepare(config: TrainingConfig) -> Any:
    """A Trainer with its model and data, as `hypserini.train` makes it."""
    arguments = training_arguments(config.trainer_config, config.source)
    arguments.disable_tqdm = True
    return make_trainer(config, arguments)


def bare_loop(trainer: Any, steps: int) -> None:
    """Train the Trainer's model without the Trainer."""
    arguments = trainer.args
    device = arguments.device
    model = trainer.model.to(device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=arguments.learning_rate, weight_decay=0.0, fused=True
    )
    loader = DataLoader(
        trainer.train_dataset,
        arguments.per_device_train_batch_size,
        shuffle=True,
        collate_fn=trainer.data_collator,
        pin_memory=device.type != "cpu",
    )
    for batch, _ in zip(loader, range(steps), strict=False):
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.bf16):
            loss = model(**moved).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    if device.type == "cuda":
        torch.cuda.synchronize()


def throughput(steps: int, rounds: int, bf16: bool) -> None:
    """Print the table of both loops."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_wordpiece([" ".join(WORDS)] * 3, VOCABULARY, max_length=64).save_pretrained(
            folder / "tokenizer"
        )
        for shape in SHAPES:
            config = configure(folder, shape, steps, bf16)
            # Each round trains models of its own, made beforehand.
            ours = iter([prepare(config) for _ in range(rounds + 1)])
            bare = iter([prepare(config) for _ in range(rounds + 1)])
            next(ours).train()
            bare_loop(next(bare), steps)
            best = best_of(
                rounds,
                {
                    "ours": lambda: next(ours).train(),  # noqa: B023
                    "bare": lambda: bare_loop(next(bare), steps),  # noqa: B023
                },
            )
            rows.append(
                [
                    f"{shape.width} wide, {shape.layers} layers, {shape.blocks} blocks",
                    f"{shape.queries} x {shape.items}",
                    f"{steps * shape.queries / best['bare']:.1f}",
                    f"{steps * shape.queries / best['ours']:.1f}",
                    f"{best['bare'] / best['ours']:.2f}",
                ]
            )
    table(
        f"Training, {steps} steps in {'bf16' if bf16 else 'float32'}, margin MSE and cross-entropy "
        f"(best of {rounds})",
        ["model", "queries x documents", "bare queries/s", "ours queries/s", "ours / bare"],
        rows,
    )


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--without-memory", action="store_true", help="only the throughput")
    args = parser.parse_args(argv)
    throughput(args.steps, args.rounds, args.bf16)
    if not args.without_memory:
        scoring_memory.main([])


if __name__ == "__main__":
    main()
