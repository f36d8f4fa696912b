"""Heads over an encoder's frozen vectors, against its dot product and a query encoder tuned alike.

Of a file of pairs, an index of their documents is made by the encoder, once; each variant is
trained over it by `hypserini.train.adapt`, once for each seed, on the same queries; and all are
compared on queries of the pairs that were held out, and on further collections that training never
saw. What is there already is not made again: the command may be stopped and given again.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import effectiveness
from hypserini import cli
from hypserini.formats.output import atomic_output
from hypserini.train.adapt.options import AdaptOptions
from hypserini.train.data.examples import format_example, read_examples

ENCODER = "encoder"
"""What the encoder itself, whose dot product ranks, is called in the tables."""

VARIANTS: dict[str, dict[str, Any]] = {
    "dot-product-tuned": {"dot_product": True},
    "head-0": {"blocks": 0},
    "head-1": {"blocks": 1},
    "head-2": {"blocks": 2},
    "head-1-frozen": {"blocks": 1, "tune": False},
    "head-2-frozen": {"blocks": 2, "tune": False},
    "head-2-teacher-only": {"blocks": 2, "cross_entropy": 0.0},
    "head-2-encoder-teaches": {"blocks": 2, "teacher": ("encoder",)},
    "head-1-frozen-encoder-teaches": {"blocks": 1, "tune": False, "teacher": ("encoder",)},
    "head-2-nested": {"blocks": 2, "nested": (0, 1)},
}
"""What is tried, by what differs from the options that the flags give."""


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.Parser(prog="python -m benchmarks.heads", description=__doc__)
    parser.add_argument(
        "--pairs", type=Path, required=True, help="examples: a query and the document it asks for"
    )
    parser.add_argument("--encoder", required=True, help="the encoder whose vectors stay as is")
    parser.add_argument(
        "--documents", type=cli.positive_int, default=12_000, help="pairs taken (default: 12000)"
    )
    parser.add_argument(
        "--queries",
        type=cli.positive_int,
        help="queries of these pairs trained and measured with, at most (default: all of them)",
    )
    parser.add_argument(
        "--own-candidates",
        action="store_true",
        help="the cross-entropy is over each query's own candidates, not the batch's: cheaper",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("build/heads"), help="(default: build/heads)"
    )
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", type=cli.seed, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=cli.number(0.01), default=2.0)
    parser.add_argument("--held-out", type=cli.whole(2), default=1000)
    parser.add_argument(
        "--also",
        type=effectiveness.named_path,
        nargs="+",
        default=[],
        metavar="NAME=FOLDER",
        help="collections that training never saw, as of benchmarks.effectiveness",
    )
    parser.add_argument("--reranked", type=cli.positive_int, default=1000)
    parser.add_argument("--results", type=Path, help="write the figures there as JSON, too")
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Index, train what is missing, and compare."""
    from hypserini.index.build import build_index
    from hypserini.index.options import IndexOptions
    from hypserini.train.adapt.adapting import FOLDER, adapt, is_whole
    from hypserini.train.adapt.material import Material

    taken, corpus = _take(args.pairs, args.documents, args.folder / "pairs")
    index = args.folder / "index"
    if not index.exists():
        unfinished = index.with_name(index.name + ".building").exists()
        build_index(
            corpus,
            index,
            args.encoder,
            IndexOptions(vectors="flat"),
            device=args.device,
            resume=unfinished,
            progress=not args.quiet,
        )
    common = AdaptOptions(
        queries=args.queries or args.documents,
        pairs=str(taken),
        held_out=args.held_out,
        epochs=args.epochs,
        cross_entropy=1.0,
        in_batch=not args.own_candidates,
    )
    trained: dict[str, list[str]] = {}
    # Of each choice of teachers the first head, whose queries the others take.
    made: dict[tuple[str, ...], str] = {}
    for seed in args.seeds:
        for name in args.variants:
            folder = args.folder / "models" / f"{name}.{seed}"
            options = replace(common, seed=seed, **VARIANTS[name])
            trained.setdefault(name, []).append(str(folder))
            queries_of = made.setdefault(options.teacher, str(folder))
            if is_whole(folder):
                Material(folder / FOLDER).check(options)
                continue
            adapt(
                str(index),
                str(folder),
                options,
                device=args.device,
                progress=not args.quiet,
                resume=True,
                queries_of=queries_of if queries_of != str(folder) else None,
            )
    held_out = _held_out(Path(next(iter(trained.values()))[0]), args.folder / "held-out")
    flags = ["--models-folder", args.folder, "--only-these", "--baseline", ENCODER]
    flags += ["--models", f"{ENCODER}={args.encoder}"]
    flags += [f"{name}={','.join(paths)}" for name, paths in trained.items()]
    flags += ["--also", f"held-out={held_out}", *(f"{n}={f}" for n, f in args.also)]
    flags += ["--indexes", f"held-out={index}", "--reranked", args.reranked]
    flags += ["--device", args.device, "--dtype", args.dtype]
    flags += ["--results", args.results] if args.results else []
    flags += ["--quiet"] if args.quiet else []
    parser = effectiveness.build_parser()
    cli.add_common_arguments(parser)
    effectiveness.run(parser.parse_args([str(flag) for flag in flags]))


def _take(pairs: Path, count: int, folder: Path) -> tuple[Path, Path]:
    """Some of the pairs, drawn, and their documents: files that are made once."""
    taken, corpus = folder / f"{count}.jsonl", folder / f"{count}.corpus.jsonl"
    if taken.exists() and corpus.exists():
        return taken, corpus
    examples = [example for _, example in read_examples(pairs)]
    drawn = random.Random("heads").sample(examples, min(count, len(examples)))
    documents = {str(e["items"][0]["id"]): e["items"][0]["content"] for e in drawn}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_output(taken) as file:
        file.writelines(format_example({**e, "items": e["items"][:1]}) for e in drawn)
    with atomic_output(corpus) as file:
        file.writelines(
            json.dumps({"id": docid, "contents": text}, ensure_ascii=False) + "\n"
            for docid, text in documents.items()
        )
    return taken, corpus


def _held_out(model: Path, folder: Path) -> Path:
    """The topics that neither trained any model nor chose its checkpoint, as a collection."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("topics.tsv", "qrels.txt"):
        text = (model / "adaptation" / f"test.{name}").read_text(encoding="utf-8")
        with atomic_output(folder / name) as file:
            file.write(text)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
