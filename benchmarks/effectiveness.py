"""The paper's comparison at our scale: BM25, bi-encoder and Hypencoders in every role.

Trains the small versions by the project's own recipe unless they are there, ranks held-out topics
and any other collections with them as first stage, as reranker of BM25 and fused with BM25, and
prints Markdown tables. The runs stay as TREC files, for others to check.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.effectiveness_runs import How, TestSet, rank_all
from benchmarks.effectiveness_tables import MEASURES, MINED, section
from benchmarks.machine import describe
from hypserini import cli
from hypserini.demo import recipe, train_small
from hypserini.errors import HypseriniError
from hypserini.evaluate import evaluate
from hypserini.formats.runs import read_run
from hypserini.pydocs.collection import DEFAULT_DOCUMENTS, make_collection


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.effectiveness",
        description="Train small versions of the paper's models and compare them with BM25.",
    )
    parser.add_argument(
        "--models-folder",
        type=Path,
        default=Path("build/train-small"),
        help="where the small versions are, or are trained by the defaults of `python -m "
        "hypserini.demo.train_small` (to train otherwise, run that beforehand); indexes and runs "
        "go into its subfolder effectiveness (default: build/train-small)",
    )
    parser.add_argument(
        "--models",
        type=named_path,
        nargs="+",
        metavar="NAME=MODEL",
        help="compare these, folders or names, and train none; the one named bi-encoder is what "
        "the others are tested against, bi-encoder-mined that of those named ...-mined",
    )
    parser.add_argument(
        "--topics",
        type=cli.positive_int,
        default=1000,
        help="known-item topics of the held-out packages, at most (default: 1000)",
    )
    parser.add_argument(
        "--documents",
        type=cli.positive_int,
        default=DEFAULT_DOCUMENTS,
        help=f"size of their collection, at most (default: {DEFAULT_DOCUMENTS})",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="folders of Python packages to make it of (default: what is installed)",
    )
    parser.add_argument(
        "--also",
        type=named_path,
        nargs="+",
        default=[],
        metavar="NAME=FOLDER",
        help="compare on these collections, too: corpus.jsonl, topics.tsv and qrels.txt",
    )
    parser.add_argument(
        "--reranked",
        type=cli.positive_int,
        default=100,
        help="documents of BM25 that are reranked (default: 100)",
    )
    cli.add_device_arguments(parser)
    return parser


def named_path(text: str) -> tuple[str, str]:
    """Parse NAME=PATH, for argparse's `type`; the name is to be part of a file's name."""
    name, equals, path = text.partition("=")
    if not equals or not path or not re.fullmatch(r"[\w.-]+", name):
        raise argparse.ArgumentTypeError(
            f"{text} is not NAME=PATH with a name of letters, digits, dots and hyphens"
        )
    return name, path


def run(args: argparse.Namespace) -> None:
    """Train what is missing, rank and evaluate; print a section for each collection."""
    work = args.models_folder / "effectiveness"
    # What cannot be read shall say so before the hours of training.
    also = _once(args.also)
    test_sets = [held_out(args, work / "held-out")]
    test_sets += [given(name, Path(folder), work / "also" / name) for name, folder in also.items()]
    models = _once(args.models) if args.models else small_models(args)
    how = How(args.reranked, args.device, args.dtype, not args.quiet)
    print(f"Measured on {describe()}.")
    for test_set in test_sets:
        runs = rank_all(test_set, models, how)
        scores = {
            system: evaluate(test_set.qrels, read_run(path), MEASURES)
            for system, path in runs.items()
        }
        topics = len(test_set.qids)
        print()
        for text in section(test_set.title, scores, topics=topics, reranked=args.reranked):
            print(text)
        print("\nThe same from the files:")
        command = f"python -m hypserini.evaluate --measures {' '.join(map(str, MEASURES))}"
        print(f"`{command} --qrels {test_set.qrels.name} --run {test_set.runs}/*.txt`", flush=True)


def held_out(args: argparse.Namespace, folder: Path) -> TestSet:
    """In domain: known items of packages that no small model saw, made of what is installed."""
    files = make_collection(
        folder / "collection", args.documents, roots=args.packages, topics=args.topics
    )
    title = f"Held-out packages: {files.documents:,} documents"
    return TestSet.read(title, folder, files.collection, files.topics, files.qrels)


def given(name: str, source: Path, folder: Path) -> TestSet:
    """Out of domain: a collection that the user has."""
    files = [source / file for file in ("corpus.jsonl", "topics.tsv", "qrels.txt")]
    return TestSet.read(name, folder, *files)


def small_models(args: argparse.Namespace) -> dict[str, str]:
    """The folders of all small versions by name; those that are not there are trained."""
    names = [*recipe.MODELS, *(name + MINED for name in recipe.MODELS)]
    folders = {name: train_small.small_folder(args.models_folder, name) for name in names}
    if not all((folder / "config.json").exists() for folder in folders.values()):
        parser = train_small.build_parser()
        cli.add_common_arguments(parser)
        flags = ["--folder", str(args.models_folder), "--models", *recipe.MODELS]
        flags += ["--cpu"] * (args.device == "cpu") + ["--quiet"] * args.quiet
        train_small.run(parser.parse_args(flags))
    return {name: str(folder) for name, folder in folders.items()}


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Names and paths as a mapping.

    Raises:
        HypseriniError: two have the same name.
    """
    named = dict(pairs)
    if len(named) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise HypseriniError(f"two are named {twice}: give each a name of its own.")
    return named


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
