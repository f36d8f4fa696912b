"""`python -m hypserini.demo.train_small`: train the bundled model again, from nothing.

Learns from the documentation strings of the installed packages and of those in
training-packages.txt, but for the held-out ones. First word embeddings alone, as a bi-encoder
without transformer layers, which a CPU trains on a thousand pairs a second; then the Hypencoder,
which begins as that bi-encoder.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypserini import cli
from hypserini.errors import TrainingError

logger = logging.getLogger(__name__)

PACKAGES = Path(__file__).with_name("training-packages.txt")
VOCABULARY = 8192
WIDTH = 256
LAYERS = 2
BLOCKS = 2
QUERY_LENGTH = 32
DOCUMENT_LENGTH = 96
POSITIONS = 128


def build_parser() -> argparse.ArgumentParser:
    """The command's flags; the defaults are the bundled model's recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m hypserini.demo.train_small",
        description="Train the bundled model from nothing, as its model card says.",
    )
    parser.add_argument("--folder", type=Path, default=Path("build/train-small"))
    parser.add_argument(
        "--packages",
        type=Path,
        help="a folder of packages to learn from beside the installed ones "
        "(default: installs training-packages.txt into the folder)",
    )
    parser.add_argument("--word-steps", type=cli.positive_int, default=900)
    parser.add_argument("--steps", type=cli.positive_int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    return parser


def run(args: argparse.Namespace) -> None:
    """Make the data, train in two stages, and save the model in half precision."""
    from hypserini.demo.docstrings import default_roots, read_docstrings
    from hypserini.demo.training_pairs import (
        make_pairs,
        one_per_summary,
        without_leaks,
        write_training_data,
    )
    from hypserini.train.config import parse_config
    from hypserini.train.tokenizer import train_wordpiece
    from hypserini.train.trainer import train

    folder: Path = args.folder
    packages = args.packages or install_packages(folder / "site")
    started = time.perf_counter()
    docstrings = one_per_summary(without_leaks(read_docstrings([*default_roots(), packages])))
    tokenizer = train_wordpiece(
        (d.contents() for d in docstrings), VOCABULARY, max_length=POSITIONS
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    data = {}
    for stage, batch, steps in (("words", 512, args.word_steps), ("model", 128, args.steps)):
        # No more passes than these are written down; longer training goes over them again.
        epochs = min(6, 1 + batch * steps // max(1, len(docstrings) // 2))
        data[stage] = folder / f"{stage}.jsonl"
        pairs = make_pairs(docstrings, epochs, args.seed, batch=batch)
        count = write_training_data(pairs, data[stage])
        logger.info("%s: %d pairs of %d documents", data[stage], count, len(docstrings))

    words = parse_config(words_config(folder, data["words"], args), "the recipe for the words")
    train(words, progress=not args.quiet)
    recipe = parse_config(model_config(folder, data["model"], args), "the recipe for the model")
    trained = train(recipe, progress=not args.quiet)
    save_half(trained, folder / "hypserini-small")
    minutes = (time.perf_counter() - started) / 60
    small = folder / "hypserini-small"
    logger.info("%s: trained in %.0f min. To measure it:", small, minutes)
    logger.info("  python -m hypserini.demo --model %s", small)


def install_packages(folder: Path) -> Path:
    """Install training-packages.txt into a folder of its own, to be read and never imported.

    Raises:
        TrainingError: pip failed.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    logger.info("installing the packages of %s into %s", PACKAGES.name, folder)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--only-binary=:all:", "--target", str(folder), "--requirement", str(PACKAGES)]
    if subprocess.run(command, check=False).returncode:
        raise TrainingError(
            "pip could not install the packages to learn from: name a folder with --packages."
        )
    return folder


def words_config(folder: Path, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The first stage: cosines of the mean of a text's word and position embeddings."""
    return {
        "model_config": {
            "model_type": "biencoder",
            "base_config": _base(0),
            "tokenizer_pretrained_model_name_or_path": str(folder / "tokenizer"),
            "passage_encoder_kwargs": {"pooling_type": "mean"},
            "normalize": True,
            "loss_type": "cross_entropy",
            "loss_kwargs": {"temperature": 0.04},
        },
        "data_config": _data(data),
        "trainer_config": {
            "hf_trainer_config": _trainer(folder / "words", args)
            | {
                "max_steps": args.word_steps,
                "per_device_train_batch_size": 512,
                "learning_rate": 3e-3,
                "warmup_steps": 50,
                "max_grad_norm": 0.0,
            }
        },
    }


def model_config(folder: Path, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The second stage: the whole Hypencoder."""
    return {
        "model_config": {
            "base_config": _base(LAYERS),
            "initial_weights": str(folder / "words"),
            "head_initialization": "bi-encoder",
            "tokenizer_pretrained_model_name_or_path": str(folder / "tokenizer"),
            "query_encoder_kwargs": {
                "converter_kwargs": {
                    "vector_dimensions": [WIDTH] * (BLOCKS + 1) + [1],
                    "do_residual_on_last": True,
                }
            },
            "passage_encoder_kwargs": {"pooling_type": "mean"},
            "loss_type": "cross_entropy",
        },
        "data_config": _data(data),
        "trainer_config": {
            "hf_trainer_config": _trainer(folder / "model", args)
            | {
                "max_steps": args.steps,
                "per_device_train_batch_size": 128,
                # With 2e-4 the training loss falls faster and the held-out topics get worse.
                "learning_rate": 3e-5,
                "warmup_steps": 20,
                "weight_decay": 0.01,
                "bf16": True,
            },
            "learning_rate_factors": {r"transformer\.embeddings": 5.0},
        },
    }


def save_half(trained: Path, target: Path) -> None:
    """Save a model once more with its weights in float16: half the size, the same rankings."""
    import torch

    from hypserini.modeling import load_model

    model = load_model(trained, device="cpu")
    model.to(torch.float16)
    model.save_pretrained(target)


def _base(layers: int) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 2 * WIDTH,
        "max_position_embeddings": POSITIONS,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def _data(path: Path) -> dict[str, Any]:
    return {
        "training_data_jsonl": str(path),
        "query_max_length": QUERY_LENGTH,
        "document_max_length": DOCUMENT_LENGTH,
    }


def _trainer(output: Path, args: argparse.Namespace) -> dict[str, Any]:
    import torch

    return {
        "output_dir": str(output),
        # The pairs already stand in the order of training.
        "train_sampling_strategy": "sequential",
        "dataloader_drop_last": True,
        "logging_steps": 20,
        "save_strategy": "steps",
        "save_steps": 300,
        "save_total_limit": 1,
        "seed": args.seed,
        "use_cpu": args.cpu or not torch.cuda.is_available(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
