"""`python -m hypserini.train config.yaml`: train a Hypencoder or a bi-encoder."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence

from hypserini import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Train what a configuration describes and say where the model is."""
    parser = cli.Parser(
        prog="python -m hypserini.train",
        description="Train a Hypencoder or a bi-encoder with transformers' Trainer.",
        epilog="Several GPUs: torchrun --nproc-per-node N -m hypserini.train config.yaml",
    )
    parser.add_argument(
        "config",
        help="YAML with model_config, data_config and trainer_config, or the name of one that "
        "comes along, such as hypencoder.6_layer",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="set a value of the configuration, such as "
        "trainer_config.hf_trainer_config.max_steps=1000; may be given again",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in output_dir, if there is one",
    )
    return cli.main(parser, _train, argv)


def _train(args: argparse.Namespace) -> None:
    is_first = os.environ.get("RANK", "0") == "0"
    if not is_first:
        logging.getLogger().setLevel(logging.WARNING)
    from hypserini.train.recipe.config import read_config
    from hypserini.train.trainer import train

    config = read_config(args.config, args.set)
    if args.resume and not config.trainer_config.resume_from_checkpoint:
        config.trainer_config.resume_from_checkpoint = True
    try:
        folder = train(config, progress=not args.quiet)
    finally:
        _leave_group()
    if is_first:
        print(
            f"The model is in {folder}: give it as --model to hypserini.index and hypserini.search."
        )


def _leave_group() -> None:
    """End the group of processes: its threads, left to the interpreter's end, may abort it."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main())
