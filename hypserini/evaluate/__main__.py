"""`python -m hypserini.evaluate`: measures of one or several runs, and tests between them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hypserini import cli
from hypserini.errors import MeasureError
from hypserini.formats.output import atomic_output, check_writable

if TYPE_CHECKING:
    from hypserini.formats.qrels import Qrels
    from hypserini.formats.runs import Run


def make_parser() -> argparse.ArgumentParser:
    """Make the command's parser."""
    parser = cli.Parser(
        prog="python -m hypserini.evaluate",
        description="Evaluate runs side by side and test their differences (paired t-test).",
    )
    parser.add_argument(
        "--qrels",
        required=True,
        help="judgements: a file, or a name (dl19, dl20, dev, or any that Pyserini knows)",
    )
    parser.add_argument(
        "--run",
        "--runs",
        dest="runs",
        required=True,
        nargs="+",
        metavar="RUN",
        help="run files (TREC, MS MARCO or JSON)",
    )
    parser.add_argument(
        "--measures",
        nargs="+",
        metavar="M",
        default=[],
        help="measures such as nDCG@10 'RR(rel=2)' R@1000 AP P@10 Judged@10 (default: nDCG@10, RR "
        "and R@1000; with rel=2 for TREC Deep Learning, RR@10 for MS MARCO's dev queries)",
    )
    parser.add_argument(
        "--baseline", metavar="RUN", help="the run to compare with (default: the first)"
    )
    parser.add_argument(
        "--per-query",
        nargs="?",
        const="-",
        metavar="FILE",
        help="also the values topic by topic, as TSV into FILE or below the table",
    )
    group = parser.add_argument_group("p-MRR, how far a run follows a changed instruction")
    group.add_argument(
        "--changed-qrels", metavar="QRELS", help="judgements under the changed instruction"
    )
    group.add_argument(
        "--changed-run", metavar="RUN", help="the run of the queries with the changed instruction"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def evaluate(args: argparse.Namespace) -> None:
    """Run the command."""
    from hypserini.evaluate import report as reports
    from hypserini.evaluate.measures import mean, parse_measure
    from hypserini.formats.qrels import load_qrels

    measures = [parse_measure(each) for each in args.measures]
    if (args.changed_qrels is None) != (args.changed_run is None):
        raise MeasureError("p-MRR needs both --changed-qrels and --changed-run: give the other.")
    if args.changed_run is not None and len(args.runs) > 1:
        raise MeasureError("p-MRR compares one run with --changed-run: give one --run.")
    if args.per_query not in (None, "-"):
        check_writable(args.per_query)
    runs: dict[str, Run] | None = {} if args.changed_run is not None else None
    report = reports.make_report(load_qrels(args.qrels), args.runs, measures, args.baseline, runs)
    followed = _follow(args, report.qrels, runs[args.runs[0]]) if runs is not None else None
    if args.json:
        per_query = args.per_query == "-"
        value = reports.as_json(report, per_query=per_query)
        if followed is not None:
            topics = {"topics": followed} if per_query else {"count": len(followed)}
            value["p-MRR"] = {"mean": mean(followed), **topics}
        print(json.dumps(value, indent=2))
    else:
        print(reports.as_table(report))
        if followed is not None:
            topics_text = f"{len(followed)} topics whose relevance changed"
            print(f"\np-MRR {mean(followed):+.2f} (of 100), {args.changed_run}, {topics_text}")
        if args.per_query == "-":
            print(f"\n{reports.as_tsv(report)}", end="")
    if args.per_query not in (None, "-"):
        with atomic_output(args.per_query) as file:
            file.write(reports.as_tsv(report))


def _follow(args: argparse.Namespace, original: Qrels, run: Run) -> dict[str, float]:
    from hypserini.evaluate.instructions import p_mrr
    from hypserini.formats.qrels import load_qrels
    from hypserini.formats.runs import read_run

    changed = load_qrels(args.changed_qrels)
    return p_mrr(original, changed, run, read_run(args.changed_run))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse `argv` and run the command; see `cli.main` for the exit status."""
    return cli.main(make_parser(), evaluate, argv)


if __name__ == "__main__":
    raise SystemExit(main())
