"""`python -m hypserini.encode`: encode topics into q-nets, to search with them later."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hypserini import cli, defaults

if TYPE_CHECKING:
    from hypserini.modeling import QNet


def build_parser() -> argparse.ArgumentParser:
    """The flags, named as those of the other commands."""
    parser = argparse.ArgumentParser(
        prog="python -m hypserini.encode",
        description="Encode topics into q-nets; search with them by "
        "python -m hypserini.search --encoded-queries FOLDER.",
    )
    parser.add_argument(
        "--topics", required=True, metavar="FILE|NAME", help="a topics file, or a name such as dl19"
    )
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the q-nets go")
    parser.add_argument(
        "--model",
        "--encoder",
        default=defaults.default_model(None),
        help="a model on the hub or in a folder (default: %(default)s)",
    )
    parser.add_argument(
        "--max-length", type=cli.positive_int, help="tokens encoded of a query (default: 32)"
    )
    parser.add_argument(
        "--batch-size", type=cli.positive_int, default=32, help="queries at once, and in a file"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace q-nets that are there")
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Encode as the flags say."""
    from hypserini.search.topics import load_topics

    topics = load_topics(args.topics)

    from hypserini.encode.saved import check_free, save_q_nets

    check_free(args.output, args.overwrite)

    from tqdm import tqdm

    from hypserini.encode import QueryEncoder
    from hypserini.modeling import load_model

    model = load_model(args.model, device=args.device, dtype=args.dtype)
    encoder = QueryEncoder(model, max_length=args.max_length, batch_size=args.batch_size)
    with tqdm(total=len(topics), desc="encoding", unit=" topics", disable=args.quiet) as bar:

        def counted() -> Iterator[QNet]:
            for batch in encoder.batches(topics.texts):
                yield batch
                bar.update(len(batch))

        metadata = {
            "model": model.name,
            "fingerprint": model.fingerprint,
            "topics": topics.name,
            "max_length": str(encoder.max_length),
        }
        save_q_nets(args.output, topics.qids, counted(), metadata, overwrite=args.overwrite)
    print(f"{args.output}: the q-nets of {len(topics):,} topics")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
