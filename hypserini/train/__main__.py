"""`python -m hypserini.train config.yaml`: train a Hypencoder or a bi-encoder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hypserini import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Train what a configuration describes and say where the model is."""
    parser = argparse.ArgumentParser(
        prog="python -m hypserini.train",
        description="Train a Hypencoder or a bi-encoder with transformers' Trainer.",
    )
    parser.add_argument("config", help="YAML with model_config, data_config and trainer_config")
    return cli.main(parser, _train, argv)


def _train(args: argparse.Namespace) -> None:
    from hypserini.train.config import read_config
    from hypserini.train.trainer import train

    folder = train(read_config(args.config), progress=not args.quiet)
    print(f"The model is in {folder}: give it as --model to hypserini.index and hypserini.search.")


if __name__ == "__main__":
    raise SystemExit(main())
