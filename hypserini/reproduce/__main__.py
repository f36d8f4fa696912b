"""`python -m hypserini.reproduce`: run the papers' tables, compare with what they print."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypserini import cli
from hypserini.errors import HypseriniError, shown
from hypserini.formats.output import atomic_output, check_writable

if TYPE_CHECKING:
    from hypserini.reproduce.matrix import Matrix, Row

DEFAULT_OUTPUT = Path("reproduction")


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = cli.Parser(
        prog="python -m hypserini.reproduce",
        description="Run rows of the papers' tables by hypserini's own commands, and hold the "
        "figures against the published ones. Exit status: 0 if all are OK or have no figure to be "
        "held against, 1 if one is off, 2 if none is off and a row could not be run.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="rows, patterns such as 'dl19-*', tables (offline, paper, study) or all (default: "
        "offline, which needs nothing from the web)",
    )
    parser.add_argument("--list", action="store_true", help="print the rows and run none")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]MODEL",
        help="where a model of the matrix lies, as 6-layer=FOLDER (can be repeated); or one model "
        "for all rows, for which no figure is expected then",
    )
    parser.add_argument(
        "--collection",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="where a collection of the matrix lies, as msmarco-v1-passage=collection.tsv",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="FOLDER",
        help="of indexes, runs, report.md and report.html; what is there already is used (default: "
        f"{DEFAULT_OUTPUT})",
    )
    parser.add_argument("--overwrite", action="store_true", help="make everything anew")
    group = parser.add_argument_group("folders of yours")
    group.add_argument(
        "--beir", nargs="+", default=[], metavar="PATH", help="folders in BEIR's format"
    )
    group.add_argument("--split", default="test", help="of BEIR's qrels (default: test)")
    group.add_argument(
        "--followir", nargs="+", default=[], metavar="PATH", help="folders of FollowIR"
    )
    group.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="only write there what the rows read: of one --beir or --followir its topics and "
        "qrels, without them the collection of paraphrases",
    )
    group = parser.add_argument_group("of the commands")
    group.add_argument("--device", help="of hypserini.index and hypserini.search")
    group.add_argument("--dtype", help="of hypserini.index and hypserini.search")
    for command in ("index", "search"):
        group.add_argument(
            f"--{command}-flags",
            type=shlex.split,
            default=[],
            metavar="FLAGS",
            help=f"further flags of hypserini.{command}, as --{command}-flags='--batch-size 256'",
        )
    return parser


def run(args: argparse.Namespace) -> int:
    """List, write, or run the rows; returns the exit status."""
    if args.write is not None:
        _write(args)
        return 0
    from hypserini.reproduce import local, report
    from hypserini.reproduce.matrix import ALL, TABLES, load_matrix
    from hypserini.reproduce.running import Runner

    matrix = load_matrix()
    models, model = _models(args.model, matrix)
    _place_collections(args.collection, matrix)
    given: list[Row] = [local.add_beir(matrix, each, args.split, "small") for each in args.beir]
    given += [local.add_followir(matrix, each, "small") for each in args.followir]
    # Without names: the folders given; without these, what needs nothing from the web.
    names = args.names or ([] if given else [ALL if args.list else TABLES[0]])
    rows = matrix.choose(names)
    rows += [row for row in given if row not in rows]
    if args.list:
        _list(matrix, rows)
        return 0
    for name in ("report.md", "report.html"):
        check_writable(args.output / name)
    device = [
        word
        for name in ("device", "dtype")
        if getattr(args, name)
        for word in (f"--{name}", getattr(args, name))
    ]
    quiet = ["--quiet"] if args.quiet else []
    runner = Runner(
        matrix,
        args.output,
        models,
        model,
        [*device, *quiet, *args.index_flags],
        [*device, *quiet, *args.search_flags],
        args.overwrite,
        _tell,
    )
    outcomes = []
    for row in rows:
        outcome = runner.run(row)
        outcomes.append(outcome)
        for line in report.lines_of(outcome):
            name, _, measure, expected, here, result, _ = line.cells
            figure = f"{measure} {here}" + (f" (published: {expected})" if expected else "")
            _tell(f"{name}: " + (result if outcome.why_not else f"{figure}: {result}"))
        # After each row, since a table may take days.
        for name, make in (("report.md", report.as_markdown), ("report.html", report.as_html)):
            with atomic_output(args.output / name) as file:
                file.write(make(matrix, outcomes, runner.ran))
    _tell(f"{report.summary(outcomes)}: {args.output}/report.md and report.html")
    return report.exit_status(outcomes)


def _tell(line: str) -> None:
    print(line, flush=True)  # what the commands print themselves must come after it


def _write(args: argparse.Namespace) -> None:
    from hypserini.formats.followir import write_followir
    from hypserini.reproduce import local, made

    sources = [*args.beir, *args.followir]
    if len(sources) > 1:
        raise HypseriniError("--write takes one --beir or one --followir: give one folder.")
    if args.beir:
        local.write_beir(args.beir[0], args.split, args.write)
        print(f"{args.write}: topics.tsv and qrels.txt of {args.beir[0]}")
    elif args.followir:
        write_followir(args.followir[0], args.write)
        print(f"{args.write}: topics, qrels and candidates of {args.followir[0]}")
    else:
        print(f"{args.write}: {made.write_paraphrases(args.write)} documents")


def _models(given: Sequence[str], matrix: Matrix) -> tuple[dict[str, str], str | None]:
    """The user's models by their names in the matrix or on the hub, and the one for all rows."""
    models: dict[str, str] = {}
    for_all: str | None = None
    hub = {each.name for each in matrix.models.values() if each.name}
    for text in given:
        name, equals, place = text.partition("=")
        if equals and (name in matrix.models or name in hub):
            if not place:
                raise HypseriniError(f"--model {shown(text)}: give a folder or a name after the =.")
            models[name] = place
        elif for_all is None:
            for_all = text
        else:
            known = ", ".join(matrix.models)
            raise HypseriniError(
                f"--model {shown(text)}: {for_all} is already for all rows; name what it is "
                f"in the matrix ({known}), as 6-layer=FOLDER."
            )
    if for_all is not None and models:
        raise HypseriniError(
            f"--model {shown(for_all)} is for all rows, and others are named: give either."
        )
    return models, for_all


def _place_collections(given: Sequence[str], matrix: Matrix) -> None:
    """Let collections be indexed from where the user has them."""
    for text in given:
        name, _, path = text.partition("=")
        if name not in matrix.collections or not path:
            known = ", ".join(matrix.collections)
            raise HypseriniError(f"--collection {shown(text)}: give NAME=PATH, of {known}.")
        matrix.collections[name] = replace(matrix.collections[name], collection=path)


def _list(matrix: Matrix, rows: Sequence[Row]) -> None:
    table = None
    for row in rows:
        if row.table != table:
            table = row.table
            print(f"{table}: {matrix.titles[table]}")
        figures = {each.measure: f"{each.value:g}" for each in row.expected}
        wanted = [
            each for part in (row.of or [row.name]) for each in matrix.measures(matrix.rows[part])
        ]
        texts = [f"{each} {figures.get(each, '-')}" for each in dict.fromkeys([*wanted, *figures])]
        print(f"  {row.name:<36} {', '.join(texts)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `run` and `cli.main` for the exit status."""
    statuses: list[int] = []
    status = cli.main(build_parser(), lambda args: statuses.append(run(args)), argv)
    return status or (statuses[0] if statuses else 0)


if __name__ == "__main__":
    raise SystemExit(main())
