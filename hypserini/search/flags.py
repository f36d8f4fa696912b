"""The flags of the modes of searching, a group of them for each mode."""

from __future__ import annotations

import argparse
from typing import Any

MODES = ("exhaustive", "rerank")


def add_mode_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--mode` and the flags that belong to each mode."""
    parser.add_argument(
        "--mode", choices=MODES, default="exhaustive", help="how to search (default: exhaustive)"
    )


def mode_options(args: argparse.Namespace) -> dict[str, Any]:
    """The `mode` and `options` that the flags say, for the searcher."""
    return {"mode": args.mode, "options": None}
