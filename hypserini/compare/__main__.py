"""`python -m hypserini.compare`: two runs side by side, topic by topic, as one HTML page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from hypserini import cli, defaults
from hypserini.formats.output import atomic_output, check_writable

COST_NEEDS = "comparisons with --index and --topics"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = cli.Parser(
        prog="python -m hypserini.compare",
        description="Write a page that shows two runs side by side: the topics that differ most, "
        "measures with significance, both rankings with judgements and texts.",
    )
    parser.add_argument(
        "--runs", required=True, nargs=2, metavar=("A", "B"), help="run files; B against A"
    )
    parser.add_argument("--qrels", required=True, help="judgements: a file or a name")
    parser.add_argument("--output", required=True, metavar="FILE", help="the page, report.html")
    parser.add_argument(
        "--index", nargs="+", metavar="FOLDER", help="the index that holds the documents' texts"
    )
    parser.add_argument("--topics", help="the queries' texts: a file or a name")
    parser.add_argument(
        "--measures", nargs="+", metavar="M", default=[], help="the first orders the topics"
    )
    parser.add_argument(
        "--depth", type=cli.positive_int, default=10, help="hits shown of a topic (default: 10)"
    )
    parser.add_argument(
        "--picture", metavar="FILE", help="also the differences, .svg, .png or .pdf"
    )
    parser.add_argument(
        "--cost-picture",
        metavar="FILE",
        help="also what tangent search of --index finds of the exhaustive ranking of --topics, "
        "against its cost",
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    from hypserini.compare.page import render
    from hypserini.compare.pairs import pair_up
    from hypserini.evaluate.measures import parse_measure
    from hypserini.evaluate.report import make_report
    from hypserini.formats.qrels import load_qrels
    from hypserini.formats.runs import Run
    from hypserini.formats.topics import load_topics

    check_writable(args.output)
    cli.refuse_ignored(args, [(bool(args.index and args.topics), COST_NEEDS, "cost_picture")])
    for picture in filter(None, (args.picture, args.cost_picture)):
        from hypserini.compare.picture import check_picture

        check_picture(picture)
        check_writable(picture)
    measures = [parse_measure(measure) for measure in args.measures]
    queries = dict(load_topics(args.topics).items) if args.topics else {}
    runs: dict[str, Run] = {}
    report = make_report(load_qrels(args.qrels), args.runs, measures, keep=runs)
    with ExitStack() as opened:
        texts = None
        if args.index:
            from hypserini.index.reader import Index
            from hypserini.index.stored_text import StoredTexts

            index = Index([defaults.index_path(folder) for folder in args.index])
            texts = StoredTexts(opened.enter_context(index)).texts
        both = [runs[path] for path in args.runs]
        pair = pair_up(report, both, depth=args.depth, queries=queries, texts=texts)
    with atomic_output(args.output) as file:
        file.write(render(pair))
    if args.picture:
        from hypserini.compare.picture import draw

        draw(pair, Path(args.picture))
    if args.cost_picture:
        _draw_costs(args, list(queries.values()))
    measure, first, second, comparison = pair.measures[0]
    print(
        f"{args.output}: {measure} {first:.4f} and {second:.4f}, difference"
        f" {comparison.difference:+.4f} (p = {comparison.p:.3g}), {len(pair.topics):,} topics"
    )


def _draw_costs(args: argparse.Namespace, queries: list[str]) -> None:
    """Search the topics at several costs, draw what came of it, and print it."""
    from hypserini.compare.picture import draw_tradeoff
    from hypserini.compare.tradeoff import measure_tradeoff
    from hypserini.search.searcher import LuceneHypencoderSearcher

    folders = [defaults.index_path(folder) for folder in args.index]
    with LuceneHypencoderSearcher(folders) as searcher:
        points = measure_tradeoff(searcher, queries, args.depth)
    draw_tradeoff(points, args.depth, Path(args.cost_picture))
    print(f"{args.cost_picture}: {len(queries):,} queries, means")
    print(f"{'':>12}{'overlap@' + str(args.depth):>12}{'scored':>12}{'ms':>10}")
    for point in points:
        name = "exhaustive" if point.fetch is None else f"fetch {point.fetch}"
        print(
            f"{name:>12}{point.overlap:12.3f}{point.evaluations:12,.0f}{point.milliseconds:10.2f}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
