"""The flags of the modes of searching, a group of them for each mode."""

from __future__ import annotations

import argparse
from typing import Any

from hypserini import cli

MODES = ("auto", "exhaustive", "tangent", "graph", "rerank")


def overlap(text: str) -> float:
    """Parse a share between 0 and 1, for argparse's `type`."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share above 0 and up to 1")
    return value


def add_mode_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--mode`, the filter, and the flags that belong to each mode."""
    group = parser.add_argument_group("how to search")
    group.add_argument(
        "--mode",
        choices=MODES,
        default="auto",
        help="score all documents (exhaustive), those that the q-net's gradient leads to "
        "(tangent), those met on a walk over the graph (graph), or given ones (rerank); auto: "
        "exhaustive where that is quick on this device, else tangent (default: auto)",
    )
    group.add_argument(
        "--filter",
        metavar="QUERY|FILE",
        help="search only documents that match a query in Lucene's syntax, or whose ids are in a "
        "file, one a line",
    )
    group.add_argument(
        "--max-scored", type=cli.positive_int, help="documents scored a topic, at most"
    )
    group = parser.add_argument_group("how well and how dear")
    group.add_argument(
        "--explain-cost", action="store_true", help="print what a topic cost: mean, median, most"
    )
    group.add_argument(
        "--check",
        type=cli.positive_int,
        metavar="N",
        help="search N topics exhaustively as well, and print what was missed",
    )
    group.add_argument(
        "--target-overlap",
        type=overlap,
        metavar="SHARE",
        help="first find the parameters of tangent search that find this share of the exhaustive "
        "hits, on a sample of the topics, and keep them with the index",
    )
    group = parser.add_argument_group("--mode tangent (defaults follow --hits)")
    group.add_argument("--fetch", type=cli.positive_int, help="documents scored a round")
    group.add_argument("--rounds", type=cli.positive_int, help="at most (default: 3)")
    group.add_argument("--ef-search", type=cli.positive_int, help="breadth of the vector search")
    group.add_argument(
        "--stable", type=float, default=0.0, help="share of the hits that the last round may change"
    )
    group = parser.add_argument_group("--mode graph (defaults follow --hits)")
    group.add_argument(
        "--entry", choices=["random", "layer", "bm25", "tangent"], default="tangent", help="where"
    )
    group.add_argument("--num-entry-points", type=cli.positive_int)
    group.add_argument("--ncandidates", type=cli.positive_int, help="nodes expanded a round")
    group.add_argument("--max-iter", type=cli.positive_int, default=16, help="rounds (default: 16)")
    group.add_argument("--no-early-stop", action="store_true", help="walk all rounds")
    group.add_argument(
        "--patience", type=cli.positive_int, default=1, help="rounds without anything new (1)"
    )
    group.add_argument("--frontier", choices=["all", "new"], default="all", help="what to expand")
    group.add_argument("--seed", type=int, default=43, help="of random entries (default: 43)")


def mode_options(args: argparse.Namespace) -> dict[str, Any]:
    """The `mode` and `options` that the flags say, for the searcher."""
    from hypserini.search.auto import AutoOptions
    from hypserini.search.graph import GraphOptions
    from hypserini.search.tangent import TangentOptions

    options: Any = None
    if args.mode in ("auto", "tangent"):
        options = TangentOptions(
            fetch=args.fetch,
            rounds=args.rounds,
            ef=args.ef_search,
            max_scored=args.max_scored,
            stable=args.stable,
        )
        if args.mode == "auto":
            options = AutoOptions(options)
    elif args.mode == "graph":
        options = GraphOptions(
            entry=args.entry,
            num_entry_points=args.num_entry_points,
            ncandidates=args.ncandidates,
            max_iter=args.max_iter,
            early_stop=not args.no_early_stop,
            patience=args.patience,
            frontier=args.frontier,
            max_scored=args.max_scored,
            seed=args.seed,
        )
    return {"mode": args.mode, "options": options}
