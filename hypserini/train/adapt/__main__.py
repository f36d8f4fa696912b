"""`python -m hypserini.train.adapt`: a head for an index, from its own texts, without labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hypserini import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.Parser(
        prog="python -m hypserini.train.adapt",
        description="Train a head for the vectors of an index, on queries made of its own texts "
        "and a teacher's scores; no document is encoded, and no label is needed.",
    )
    parser.add_argument("--index", metavar="INDEX", required=True, help="with texts and vectors")
    parser.add_argument("--output", metavar="MODEL", required=True, help="the folder to make")
    parser.add_argument(
        "--model", help="the encoder that made the vectors, where the index does not say it"
    )
    parser.add_argument(
        "--queries",
        type=cli.positive_int,
        default=10_000,
        help="queries that are made (default: 10000)",
    )
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="take the queries from these examples, whose first items are documents of --index, "
        "and not from the collection's texts",
    )
    parser.add_argument(
        "--queries-of",
        metavar="MODEL",
        help="take the queries, candidates and teacher's scores of this adaptation to the same "
        "--index, made by the same flags",
    )
    parser.add_argument(
        "--held-out",
        type=cli.whole(2),
        default=500,
        help="queries not trained on, at most a fifth: half choose the checkpoint, half give the"
        " figures (default: 500)",
    )
    parser.add_argument(
        "--teacher",
        action="append",
        metavar="KIND[=NAME]",
        help="as of hypserini.train.teach; may be given again (default: bm25 and encoder)",
    )
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="of the teachers, in their order"
    )
    parser.add_argument(
        "--candidates",
        type=cli.positive_int,
        default=30,
        help="documents of each query from BM25, and from the encoder (default: 30)",
    )
    parser.add_argument(
        "--negatives",
        type=cli.positive_int,
        default=15,
        help="of these, drawn in each step (default: 15)",
    )
    parser.add_argument(
        "--blocks", type=cli.positive_int, default=2, help="of the q-net (default: 2)"
    )
    parser.add_argument(
        "--nested",
        type=cli.whole(0),
        nargs="+",
        default=[],
        metavar="BLOCKS",
        help="train q-nets of the first so many blocks, too",
    )
    parser.add_argument(
        "--dot-product",
        action="store_true",
        help="train no q-net, but the query encoder alone, for a dot product: what a head is "
        "compared with",
    )
    parser.add_argument(
        "--cross-entropy",
        type=cli.number(0),
        default=0.0,
        metavar="WEIGHT",
        help="of the loss of finding the query's own document in the batch, beside the teacher's "
        "(default: 0)",
    )
    parser.add_argument(
        "--own-candidates",
        action="store_true",
        help="for --cross-entropy: find it among the query's own candidates alone, which is "
        "several times cheaper on a CPU",
    )
    parser.add_argument(
        "--temperature",
        type=cli.number(0.0001),
        default=0.05,
        help="that scores are divided by in the losses (default: 0.05)",
    )
    parser.add_argument(
        "--freeze", action="store_true", help="train the head alone, and not the query encoder"
    )
    parser.add_argument(
        "--epochs", type=cli.number(0.01), default=3.0, help="over the queries (default: 3)"
    )
    parser.add_argument("--learning-rate", type=cli.number(0), default=2e-4, help="(default: 2e-4)")
    parser.add_argument(
        "--seed", type=cli.seed, default=0, help="of all that is drawn (default: 0)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with what was begun in --output, by the same flags; without anything there, "
        "begin",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    return parser


def run(args: argparse.Namespace) -> None:
    """Adapt as the flags say."""
    from hypserini.train.adapt.adapting import AdaptOptions, adapt

    cli.refuse_ignored(
        args,
        [
            (
                not args.dot_product,
                "a q-net, which --dot-product has none of",
                "blocks nested freeze",
            ),
            (args.cross_entropy > 0, "the loss of --cross-entropy", "own_candidates"),
        ],
    )
    default = AdaptOptions()
    options = AdaptOptions(
        queries=args.queries,
        pairs=args.pairs,
        held_out=args.held_out,
        candidates=args.candidates,
        negatives=args.negatives,
        teacher=tuple(args.teacher) if args.teacher else default.teacher,
        weights=tuple(args.weights) if args.weights else None,
        blocks=args.blocks,
        nested=tuple(args.nested),
        dot_product=args.dot_product,
        tune=not args.freeze,
        epochs=args.epochs,
        learning_rate=args.learning_rate,
        temperature=args.temperature,
        cross_entropy=args.cross_entropy,
        in_batch=not args.own_candidates,
        seed=args.seed,
    )
    found = adapt(
        args.index,
        args.output,
        options,
        model=args.model,
        device=args.device,
        progress=not args.quiet,
        resume=args.resume,
        queries_of=args.queries_of,
    )
    print("on queries held out     nDCG@10  tau    overlap@10")
    for name, words in (("encoder", "encoder's dot product"), ("head", "head")):
        correlation, overlap = found.agreement[name]
        print(f"{words:23} {found.figures[name]:.4f}   {correlation:.3f}  {overlap:.3f}")
    print(f"The head is in {args.output}: search {args.index} with it as --model.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
