"""`python -m hypserini.jvm`: compile our Java classes against the installed Pyserini's Lucene."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from hypserini import cli
from hypserini.jvm.jar import JARS, anserini_jar, build, jar_name, lucene_line

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> None:
    """Build the jar, and remove stale ones of the same Lucene line."""
    anserini = anserini_jar()
    name = jar_name(lucene_line(anserini))
    for stale in args.output.glob(f"{name.rpartition('-')[0]}-*.jar"):
        if stale.name != name:
            stale.unlink()
    if not (args.output / name).is_file():
        build(anserini, args.output)
    logger.info("%s", args.output / name)


def main(argv: Sequence[str] | None = None) -> int:
    """Build the jar for the installed Pyserini into the package, and remove stale ones."""
    parser = cli.Parser(prog="python -m hypserini.jvm", description=main.__doc__)
    parser.add_argument(
        "--output", type=Path, default=JARS, help="folder of the jar (default: in the package)"
    )
    return cli.main(parser, run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
