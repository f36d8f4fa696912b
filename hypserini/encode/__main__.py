"""`python -m hypserini.encode`: encode topics into q-nets and save them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from hypserini import cli, defaults


def build_parser() -> argparse.ArgumentParser:
    """The flags, named as in `pyserini.encode`."""
    parser = argparse.ArgumentParser(
        prog="python -m hypserini.encode",
        description="Encode topics into q-nets and save them, to be searched with later: "
        "`python -m hypserini.search --encoded-queries FOLDER`.",
    )
    parser.add_argument("--topics", required=True, metavar="FILE|NAME", help="as in the search")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="the folder to make")
    parser.add_argument(
        "--model",
        "--encoder",
        help="a model on the hub or in a folder (default: the one of the topics' collection)",
    )
    parser.add_argument(
        "--max-length", type=cli.positive_int, help="tokens encoded of a query (default: 32)"
    )
    parser.add_argument("--batch-size", type=cli.positive_int, default=32)
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Encode and save."""
    from hypserini.files import check_new_folder
    from hypserini.search.topics import load_topics

    check_new_folder(args.output)
    topics = load_topics(args.topics)
    known = defaults.COLLECTIONS.get(topics.family or "")

    from tqdm import tqdm

    from hypserini.encode import QueryEncoder
    from hypserini.encode.saved import save_q_nets
    from hypserini.modeling import load_model

    model = load_model(
        args.model or defaults.default_model(known), device=args.device, dtype=args.dtype
    )
    encoder = QueryEncoder(model, max_length=args.max_length, batch_size=args.batch_size)
    started = time.perf_counter()
    batches = tqdm(
        encoder.batches(topics.texts),
        total=-(-len(topics) // args.batch_size),
        desc="encoding",
        unit=" batches",
        disable=args.quiet,
    )
    metadata = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "max_length": str(encoder.max_length),
    }
    save_q_nets(args.output, topics.qids, batches, metadata)
    print(f"{args.output}: {len(topics):,} q-nets, {time.perf_counter() - started:.1f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
