"""`python -m hypserini.encode`: encode topics into q-nets, or a collection into vectors."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from hypserini import cli, defaults
from hypserini.errors import OutputError


def build_parser() -> argparse.ArgumentParser:
    """The flags, named as in `pyserini.encode`."""
    parser = cli.Parser(
        prog="python -m hypserini.encode",
        description="Encode topics into q-nets, to be searched with later (`python -m "
        "hypserini.search --encoded-queries FOLDER`), or a collection into vectors, to be indexed "
        "later (`python -m hypserini.index --vectors-from FOLDER ...`).",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--topics", metavar="FILE|NAME", help="as in the search")
    what.add_argument("--collection", "--corpus", metavar="PATH|NAME", help="as in indexing")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="the folder to make")
    parser.add_argument(
        "--model",
        "--encoder",
        help="a model on the hub or in a folder (default: the one of the topics' collection)",
    )
    parser.add_argument(
        "--max-length",
        type=cli.positive_int,
        help="tokens encoded of a query (default: 32) or a document (default: 512)",
    )
    parser.add_argument("--batch-size", type=cli.positive_int, default=32)
    group = parser.add_argument_group("collections")
    group.add_argument(
        "--format",
        choices=["jsonl", "parquet", "npy"],
        default="npy",
        help="jsonl and parquet are Pyserini's and Anserini's, npy is the smallest (default: npy)",
    )
    group.add_argument("--fields", nargs="+", help="JSON fields that make up the text, in order")
    group.add_argument("--shard-id", type=cli.whole(0), default=0, help="which shard, from 0")
    group.add_argument(
        "--shard-num", type=cli.positive_int, default=1, help="how many shards there are"
    )
    cli.add_encoding_arguments(parser)
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Encode and save."""
    ours = "format fields shard_id shard_num doc_prefix"
    cli.refuse_ignored(args, [(args.collection is not None, "--collection", ours)])
    if args.topics is not None:
        encode_topics(args)
    else:
        encode_documents(args)


def encode_documents(args: argparse.Namespace) -> None:
    """Encode a collection, or one shard of it, into a folder of vectors."""
    if not 0 <= args.shard_id < args.shard_num:
        raise OutputError(
            f"--shard-id {args.shard_id} is not among --shard-num {args.shard_num}: it counts from"
            " 0."
        )
    from hypserini.formats.collection import Collection
    from hypserini.formats.output import check_new_folder

    check_new_folder(args.output)
    collection = Collection(args.collection, fields=args.fields)
    known = defaults.COLLECTIONS.get(args.collection)

    from hypserini.encode import DocumentEncoder
    from hypserini.encode.documents import encode_collection
    from hypserini.modeling import load_model
    from hypserini.modeling.devices import choose_devices

    first, *others = choose_devices(args.device)
    model = load_model(
        args.model or defaults.default_model(known),
        device=first,
        dtype=args.dtype,
        settings=cli.encoding_settings(args),
    )
    encoder = DocumentEncoder(
        model, max_length=args.max_length, batch_size=args.batch_size, others=others
    )
    started = time.perf_counter()
    manifest = encode_collection(
        collection,
        encoder,
        args.output,
        format=args.format,
        collection=args.collection,
        fields=args.fields or (),
        shard_id=args.shard_id,
        shard_num=args.shard_num,
        progress=not args.quiet,
    )
    seconds = time.perf_counter() - started
    print(f"{args.output}: {manifest.documents:,} vectors, {seconds:.1f} s")


def encode_topics(args: argparse.Namespace) -> None:
    """Encode topics into a folder of q-nets."""
    if args.doc_prefix is not None:
        raise OutputError("--doc-prefix belongs to --collection: leave it out with --topics.")
    from hypserini.formats.output import check_new_folder
    from hypserini.formats.topics import load_topics

    check_new_folder(args.output)
    topics = load_topics(args.topics)
    known = defaults.COLLECTIONS.get(topics.family or "")

    from tqdm.auto import tqdm

    from hypserini.encode import QueryEncoder
    from hypserini.encode.saved import save_q_nets
    from hypserini.modeling import load_model

    model = load_model(
        args.model or defaults.default_model(known),
        device=args.device,
        dtype=args.dtype,
        settings=cli.encoding_settings(args),
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
        "query_prefix": encoder.prefix,
        "encodes": getattr(model.config, "encodes", ""),
    }
    save_q_nets(args.output, topics.qids, batches, metadata)
    encoder.report_cut(encoder.truncated)
    print(f"{args.output}: {len(topics):,} q-nets, {time.perf_counter() - started:.1f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
