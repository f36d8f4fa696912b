"""The paper's comparison at our scale: BM25, bi-encoder and Hypencoders in every role.

Trains the small versions by the project's own recipe unless they are there, ranks held-out topics
and any other collections with them as first stage, as reranker of BM25 and fused with BM25, and
prints Markdown tables. The runs stay as TREC files, for others to check.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.effectiveness_runs import How, TestSet, rank_all
from benchmarks.effectiveness_tables import BI_ENCODER, MEASURES, MINED, section
from benchmarks.machine import describe
from hypserini import cli
from hypserini.demo import recipe, train_small
from hypserini.errors import CollectionError, HypseriniError
from hypserini.evaluate import evaluate, mean
from hypserini.evaluate.measures import Scores
from hypserini.formats.output import atomic_output
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
        help="compare these, folders or names, and train none; MODEL,MODEL,... are seeds of one, "
        "whose measures are averaged topic by topic; the one named bi-encoder is what the others "
        "are tested against, bi-encoder-mined that of those named ...-mined",
    )
    parser.add_argument(
        "--baseline",
        metavar="NAME",
        default=BI_ENCODER,
        help="what the others are tested against, in place of bi-encoder",
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
        help="compare on these collections, too: corpus.jsonl or collection.tsv; topics.tsv, "
        "topics.*.tsv or queries.jsonl; qrels.txt, qrels.*.txt or qrels/test.tsv",
    )
    parser.add_argument("--only-these", action="store_true", help="leave the held-out packages out")
    parser.add_argument(
        "--indexes",
        type=named_path,
        nargs="+",
        default=[],
        metavar="NAME=INDEX",
        help="search these indexes of the collections of --also, and encode no document: all "
        "models are then of that encoder's vectors",
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="write the figures there as JSON, too"
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
    also, indexes = _once(args.also), _once(args.indexes)
    if lacking := indexes.keys() - also.keys():
        raise HypseriniError(f"--indexes names {min(lacking)}, which --also does not: name both.")
    test_sets = [] if args.only_these else [held_out(args, work / "held-out")]
    for name, folder in also.items():
        index = Path(indexes[name]) if name in indexes else None
        test_sets.append(given(name, Path(folder), work / "also" / name, index))
    named = _once(args.models) if args.models else small_models(args)
    models = {name: paths.split(",") for name, paths in named.items()}
    how = How(args.reranked, args.device, args.dtype, not args.quiet)
    print(f"Measured on {describe()}.")
    results: dict[str, Any] = {}
    for test_set in test_sets:
        runs = rank_all(test_set, models, how)
        seeds = {
            system: [evaluate(test_set.qrels, read_run(path), MEASURES) for path in paths]
            for system, paths in runs.items()
        }
        scores = {system: averaged(of_seeds) for system, of_seeds in seeds.items()}
        spreads = {
            system: {m: stdev(mean(one[m]) for one in of_seeds) for m in MEASURES}
            for system, of_seeds in seeds.items()
            if len(of_seeds) > 1
        }
        topics = len(test_set.qids)
        print()
        for text in section(
            test_set.title,
            scores,
            topics=topics,
            reranked=args.reranked,
            baseline=args.baseline,
            spreads=spreads,
        ):
            print(text)
        print("\nThe same from the files:")
        command = f"python -m hypserini.evaluate --measures {' '.join(map(str, MEASURES))}"
        print(f"`{command} --qrels {test_set.qrels.name} --run {test_set.runs}/*.txt`", flush=True)
        results[test_set.title] = {
            "topics": topics,
            "reranked": args.reranked,
            "systems": {
                f"{system.model}, {system.role}": {
                    str(m): [round(mean(one[m]), 5) for one in of_seeds] for m in MEASURES
                }
                for system, of_seeds in seeds.items()
            },
        }
    if args.results:
        with atomic_output(args.results) as file:
            file.write(json.dumps(results, indent=1) + "\n")


def averaged(seeds: Sequence[Scores]) -> Scores:
    """The mean over seeds of each measure, topic by topic."""
    return {
        measure: {qid: fmean(one[measure][qid] for one in seeds) for qid in seeds[0][measure]}
        for measure in MEASURES
    }


def held_out(args: argparse.Namespace, folder: Path) -> TestSet:
    """In domain: known items of packages that no small model saw, made of what is installed."""
    files = make_collection(
        folder / "collection", args.documents, roots=args.packages, topics=args.topics
    )
    title = f"Held-out packages: {files.documents:,} documents"
    return TestSet.read(title, folder, files.collection, files.topics, files.qrels)


def given(name: str, source: Path, folder: Path, index: Path | None = None) -> TestSet:
    """Out of domain: a collection that the user has.

    Raises:
        CollectionError: a file that is needed is not there.
    """
    collection, topics, qrels = KINDS
    # Of a collection whose index is given nothing is read.
    documents = source / collection[0] if index else _one_of(source, collection)
    judged = _one_of(source, topics), _one_of(source, qrels)
    return TestSet.read(name, folder, documents, *judged, index)


KINDS = (
    ("corpus.jsonl", "collection.tsv"),
    ("topics.tsv", "queries.jsonl", "topics.*.tsv"),
    ("qrels.txt", "qrels/test.tsv", "qrels.*.txt"),
)
"""The files of a collection, each by one of several names."""


def _one_of(folder: Path, patterns: Sequence[str]) -> Path:
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    if (first := next(found, None)) is None:
        raise CollectionError(
            f"{folder / patterns[0]} does not exist, nor {' or '.join(patterns[1:])} beside it: "
            "give a folder that has one of them."
        )
    return first


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
