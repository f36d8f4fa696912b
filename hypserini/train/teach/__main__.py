"""`python -m hypserini.train.teach`: score training data by a teacher, or several."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from contextlib import closing

from hypserini import cli

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.Parser(
        prog="python -m hypserini.train.teach",
        description="Give every item of training data the score of a teacher, in place of the one "
        "it has, for the margin_mse and kl_divergence losses.",
    )
    parser.add_argument(
        "--input", metavar="FILE", required=True, help="JSON lines, plain or gzipped"
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="the JSON lines to write")
    teacher = parser.add_mutually_exclusive_group(required=True)
    teacher.add_argument(
        "--model",
        help="a cross-encoder of transformers (AutoModelForSequenceClassification) on the hub or "
        "in a folder, such as cross-encoder/ms-marco-MiniLM-L6-v2",
    )
    teacher.add_argument(
        "--teacher",
        action="append",
        metavar="KIND[=NAME]",
        help="cross-encoder=MODEL, splade=MODEL (its masked-language head), bi-encoder=MODEL "
        "(or a Hypencoder; encodes the texts), encoder[=MODEL] (one over the vectors of --index, "
        "by default the index's own), bm25 (over --index) or run=FILE; given again, the "
        "standardised scores of all are summed",
    )
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="of the teachers, in their order"
    )
    parser.add_argument(
        "--index",
        metavar="INDEX",
        help="what encoder and bm25 score; items then need ids alone, and texts are its",
    )
    parser.add_argument(
        "--students",
        nargs="+",
        metavar="MODEL",
        help="say how closely these rank the items as the teacher does, over the vectors of "
        "--index: Kendall's tau, and the overlap of the best ten",
    )
    parser.add_argument(
        "--score",
        choices=("logit", "probability"),
        default="logit",
        help="of a model with one output that, or its sigmoid; of one with two the log-odds or "
        "the softmax of the positive label (default: logit)",
    )
    parser.add_argument(
        "--positive-label",
        type=int,
        default=1,
        choices=(0, 1),
        help="which of two labels means relevant (default: 1)",
    )
    parser.add_argument(
        "--batch-size", type=cli.positive_int, default=64, help="pairs at once (default: 64)"
    )
    parser.add_argument(
        "--max-length",
        type=cli.positive_int,
        help="tokens of a pair (default: 512, or what the model can read)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where an interrupted run with the same flags stopped, if there is one",
    )
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Score as the flags say."""
    from tqdm.auto import tqdm

    from hypserini.train.data.examples import read_examples
    from hypserini.train.teach.opening import open_teacher
    from hypserini.train.teach.teaching import Teaching, check_building

    check_building(args.output, args.resume)
    # Read through once before the model is loaded: bad data shows at once.
    kinds = {spec.partition("=")[0] for spec in args.teacher or ["cross-encoder"]}
    cli.refuse_ignored(
        args,
        [
            ("cross-encoder" in kinds, "a cross-encoder", "score positive_label"),
            (
                bool(kinds & {"cross-encoder", "splade", "bi-encoder"}),
                "a model of texts",
                "max_length",
            ),
            (len(args.teacher or []) > 1, "several teachers", "weights"),
            (args.index is not None, "an --index", "students"),
        ],
    )
    by_docid = args.index is not None or kinds == {"run"}
    count = sum(1 for _ in read_examples(args.input, by_docid=by_docid))
    teacher = open_teacher(
        args.teacher or [f"cross-encoder={args.model}"],
        index=args.index,
        weights=args.weights,
        device=args.device,
        dtype=args.dtype,
        max_length=args.max_length,
        batch_size=args.batch_size,
        score=args.score,
        positive_label=args.positive_label,
    )
    of_two = [each for each in teacher.texts if getattr(each, "num_labels", 0) == 2]
    cli.refuse_ignored(args, [(bool(of_two), "models of two labels", "positive_label")])
    for cross_encoder in of_two:
        logger.info("%s has two labels; %s means relevant", cross_encoder.name, cross_encoder.label)
    settings = {"score": args.score, "positive-label": args.positive_label, "dtype": args.dtype}
    teaching = Teaching(args.input, args.output, teacher, settings, by_docid=by_docid)
    started = time.perf_counter()
    with (
        closing(teacher),
        tqdm(total=count, desc="scoring", unit=" examples", disable=args.quiet) as bar,
    ):
        for done in teaching.run(args.resume):
            bar.update(done)
    seconds = time.perf_counter() - started
    logger.info(
        "%s: %s examples%s, %s pairs in %.1f s",
        *(args.output, f"{teaching.examples:,}"),
        f" ({teaching.resumed:,} of them before)" if teaching.resumed else "",
        *(f"{teaching.pairs:,}", seconds),
    )
    if teaching.compared:
        share = 100 * teaching.first_best / teaching.compared
        logger.info("the first item scores highest in %.1f %% of the examples", share)
    for each in teacher.texts:
        if each.truncated:
            logger.info(
                "texts longer than %d tokens, scored up to there: %s",
                *(each.max_length, f"{each.truncated:,}"),
            )

    if args.students:
        _compare(args)


def _compare(args: argparse.Namespace) -> None:
    """Print how closely the students rank as what was written."""
    import numpy as np

    from hypserini.train.data.examples import read_examples
    from hypserini.train.teach.agreement import DEPTH, agreement
    from hypserini.train.teach.teachers import EncoderTeacher

    examples = [example for _, example in read_examples(args.output, by_docid=True)]
    taught = np.asarray([item["score"] for e in examples for item in e["items"]], np.float32)
    print(f"tau    overlap@{DEPTH}  with the teacher, {len(examples):,} queries")
    for name in args.students:
        with closing(EncoderTeacher(args.index, name, args.device, args.dtype)) as student:
            found = agreement(examples, taught, student.score(examples))
        print(f"{found.correlation:.3f}  {found.overlap:.3f}       {name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
