"""`python -m hypserini.search`: search an index with topics and write a run, or ask one query."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hypserini import cli
from hypserini.formats.output import descriptor_of
from hypserini.search.command.flags import build_parser
from hypserini.search.command.making import make_plan


def run(args: argparse.Namespace) -> None:
    """Search as the flags say."""
    plan = make_plan(args)  # before torch is loaded: contradicting flags cost no time
    from hypserini.search.command.tasks import perform

    # Where the run goes to the standard output, nothing else does.
    aside = plan.output.path is not None and descriptor_of(plan.output.path) == 1
    for line in perform(plan):
        print(line, file=sys.stderr if aside else sys.stdout)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
