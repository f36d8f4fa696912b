"""`python -m hypserini.check`: look for what is wrong with an index, and say how to mend it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hypserini import cli, defaults
from hypserini.errors import IndexingError


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = cli.Parser(
        prog="python -m hypserini.check",
        description="Check an index: its files, metadata, docids, vectors, model and shards. Ends"
        " with status 2 if something is wrong.",
    )
    parser.add_argument(
        "index", nargs="+", metavar="INDEX", help="the folder of an index or of shards; or several"
    )
    parser.add_argument("--model", help="where its model lies, if not where it was")
    return parser


def run(args: argparse.Namespace) -> None:
    """Print what is found."""
    from hypserini.check.checks import check_index

    faults = []
    for finding in check_index(
        [defaults.index_path(index) for index in args.index], model=args.model
    ):
        if finding.fault:
            faults.append(f"{finding.what}: {finding.fault}")
        else:
            print(f"{finding.what}: {finding.note or 'sound'}")
    if faults:
        raise IndexingError("; ".join(faults) + ".")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
