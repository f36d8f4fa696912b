"""`python -m hypserini.index`: encode a collection into a Lucene index."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from hypserini import cli, defaults
from hypserini.errors import IndexingError
from hypserini.formats.names import part_of_a_name
from hypserini.index.vector_formats import VECTOR_FORMATS


def build_parser() -> argparse.ArgumentParser:
    """The flags, named as in `pyserini.index.lucene` and `pyserini.encode`."""
    parser = cli.Parser(
        prog="python -m hypserini.index",
        description="Encode a collection with a Hypencoder and write text and vectors into one "
        "Lucene index. Without flags: the documentation of the installed Python packages, with "
        "the bundled model.",
    )
    parser.add_argument(
        "--collection",
        "--input",
        metavar="PATH|NAME",
        help="a file or folder in Pyserini's JSON, BEIR's or TSV format, or a known name: "
        f"{', '.join(defaults.COLLECTIONS)} (default: {defaults.DEMO_COLLECTION.name})",
    )
    parser.add_argument(
        "--vectors-from",
        nargs="+",
        metavar="PATH",
        help="index vectors instead of encoding a collection: the folders that `python -m "
        "hypserini.encode --collection` made, all shards; or dense collections of Pyserini and "
        "Anserini (JSON lines, Parquet), flat Faiss indexes with docid, .npy with docids.txt",
    )
    parser.add_argument(
        "--collection-path",
        metavar="PATH",
        help="where the files of a collection given by name lie",
    )
    parser.add_argument("--index", metavar="FOLDER", help="the index to make (default: by name)")
    parser.add_argument(
        "--model",
        "--encoder",
        help="a model on the hub or in a folder "
        f"(default: ${defaults.MODEL_VARIABLE}, the collection's, or {defaults.BUNDLED_MODEL})",
    )
    parser.add_argument("--fields", nargs="+", help="JSON fields that make up the text, in order")
    parser.add_argument(
        "--max-length", type=cli.positive_int, help="tokens encoded of a document (default: 512)"
    )
    parser.add_argument("--batch-size", type=cli.positive_int, default=64)
    parser.add_argument(
        "--vectors",
        choices=list(VECTOR_FORMATS),
        default="hnsw",
        help="with a graph for approximate search, steered by the vectors themselves or by a copy"
        " of 7 bits (int8) or, with Lucene 10, 4 (int4) or 1 (bbq) a component; or flat, without a"
        " graph (default: hnsw)",
    )
    parser.add_argument("--M", dest="m", type=cli.whole(1, 512), default=16, help="graph degree")
    parser.add_argument(
        "--ef-construction", "--efC", type=cli.whole(1, 3200), default=100, help="graph beam width"
    )
    parser.add_argument(
        "--threads",
        type=cli.threads,
        help="threads that add documents and merge graphs (default: all cores)",
    )
    parser.add_argument(
        "--memory",
        type=cli.size,
        metavar="SIZE",
        help="what the build may take, such as 4g (default: Java half of the machine's)",
    )
    parser.add_argument("--optimize", action="store_true", help="merge all segments into one")
    parser.add_argument(
        "--commit-every",
        type=cli.number(0),
        default=60.0,
        metavar="SECONDS",
        help="what a kill can cost at most (default: 60)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted build")
    parser.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    cli.add_encoding_arguments(parser)
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Build the index that the flags ask for."""
    cli.refuse_ignored(args, _owners(args))
    if args.vectors_from:
        index_from_vectors(args)
        return
    known = defaults.COLLECTIONS.get(args.collection or defaults.DEMO_COLLECTION.name)
    model = args.model or defaults.default_model(known)
    index = _index(args, known, model)
    collection = _locate(args, known)

    from hypserini.index.build import build_index
    from hypserini.index.options import IndexOptions

    options = IndexOptions(
        fields=tuple(args.fields) if args.fields else None,
        vectors=args.vectors,
        m=args.m,
        ef_construction=args.ef_construction,
        max_length=args.max_length,
        batch_size=args.batch_size,
        threads=args.threads,
        memory=args.memory,
        commit_seconds=args.commit_every,
        optimize=args.optimize,
    )
    started = time.perf_counter()
    metadata = build_index(
        collection,
        index,
        model,
        options,
        settings=cli.encoding_settings(args),
        device=args.device,
        dtype=args.dtype,
        resume=args.resume,
        overwrite=args.overwrite,
        progress=not args.quiet,
        collection_name=known.name if known else None,
    )
    seconds = time.perf_counter() - started
    _tell(index, metadata.consumed, metadata.model, args.vectors, seconds)


def _owners(args: argparse.Namespace) -> list[cli.Row]:
    """What each flag belongs to, and does nothing without."""
    named = args.collection is None or args.collection in defaults.COLLECTIONS
    encoding = "collection collection_path fields max_length batch_size"
    return [
        (not args.vectors_from, "encoding, which --vectors-from has behind it", encoding),
        (named, "a collection given by its name", "collection_path"),
        (
            VECTOR_FORMATS[args.vectors].has_graph,
            "a graph, which --vectors flat has not",
            "m ef_construction",
        ),
    ]


def index_from_vectors(args: argparse.Namespace) -> None:
    """Build an index from vectors that lie in files."""
    if args.index is None:
        raise IndexingError("--vectors-from needs --index, the folder to make.")
    index = defaults.index_path(args.index)

    from hypserini.index.from_vectors import index_vectors
    from hypserini.index.options import IndexOptions

    options = IndexOptions(
        vectors=args.vectors,
        m=args.m,
        ef_construction=args.ef_construction,
        threads=args.threads,
        memory=args.memory,
        commit_seconds=args.commit_every,
        optimize=args.optimize,
    )
    started = time.perf_counter()
    built = index_vectors(
        args.vectors_from,
        index,
        options,
        model=args.model,
        settings=cli.encoding_settings(args),
        resume=args.resume,
        overwrite=args.overwrite,
        progress=not args.quiet,
    )
    model = built.metadata.model if built.metadata else "unknown"
    seconds = time.perf_counter() - started
    _tell(index, built.documents, model, args.vectors, seconds)


def _tell(index: Path, documents: int, model: str, vectors: str, seconds: float) -> None:
    print(f"{index}: {documents:,} documents, model {model}, vectors {vectors}, {seconds:.1f} s")


def _index(args: argparse.Namespace, known: defaults.KnownCollection | None, model: str) -> Path:
    """The index to make: as named, or by the names of collection and model."""
    if args.index is not None:
        return defaults.index_path(args.index)
    if known:
        return defaults.default_index(known, model)
    return defaults.index_root() / defaults.index_name(part_of_a_name(args.collection), model)


def _locate(args: argparse.Namespace, known: defaults.KnownCollection | None) -> str:
    """The path or name that the collection reader takes; makes the demo's collection if needed."""
    if args.collection_path:
        return args.collection_path
    if known is defaults.DEMO_COLLECTION:
        from hypserini.pydocs.collection import ensure_collection

        return str(ensure_collection())
    return args.collection


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
