"""`python -m hypserini.index`: encode a collection into a Lucene index."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini import cli, defaults
from hypserini.errors import IndexingError
from hypserini.formats.names import part_of_a_name
from hypserini.index.vector_formats import VECTOR_FORMATS

if TYPE_CHECKING:
    from hypserini.index.options import IndexOptions


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
    parser.add_argument(
        "--index", metavar="FOLDER", help="the index to make, or to change (default: by name)"
    )
    parser.add_argument(
        "--shards",
        type=cli.whole(1, 1000),
        help="make a folder of so many indexes that are searched as one",
    )
    group = parser.add_argument_group("of indexes that are there")
    group.add_argument(
        "--merge", nargs="+", metavar="FOLDER", help="make one index of several, or of shards"
    )
    group.add_argument(
        "--add",
        metavar="PATH|NAME",
        help="encode a collection and add its documents to --index; those with a docid that is"
        " there replace the others",
    )
    group.add_argument(
        "--delete",
        metavar="QUERY|FILE",
        help="delete the documents of --index that match a query in Lucene's syntax, or whose"
        " docids a file lists; with --add, by the same commit",
    )
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
    cli.add_cluster_arguments(parser)
    cli.add_encoding_arguments(parser)
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Build the index that the flags ask for."""
    cli.refuse_ignored(args, _owners(args))
    for given, work in (
        (args.vectors_from, index_from_vectors),
        (args.merge, merge),
        (args.add or args.delete, change),
    ):
        if given:
            work(args)
            return
    known = defaults.COLLECTIONS.get(args.collection or defaults.DEMO_COLLECTION.name)
    model = args.model or defaults.default_model(known)
    index = _index(args, known, model)
    collection = _locate(args, known)

    from hypserini.index.build import build_index
    from hypserini.index.sharded import build_shards

    how: dict[str, Any] = {
        "settings": cli.encoding_settings(args),
        "device": args.device,
        "dtype": args.dtype,
        "resume": args.resume,
        "overwrite": args.overwrite,
        "progress": not args.quiet,
        "collection_name": known.name if known else None,
    }
    started = time.perf_counter()
    if args.shards:
        if cluster := cli.cluster_options(args):
            from hypserini.index.on_cluster import build_on_cluster

            how["elsewhere"] = partial(build_on_cluster, cluster=cluster, progress=not args.quiet)
        built = build_shards(collection, index, model, _options(args), args.shards, **how)
    else:
        built = [build_index(collection, index, model, _options(args), **how)]
    seconds = time.perf_counter() - started
    documents = sum(metadata.consumed for metadata in built)
    _tell(index, documents, built[0].model, args.vectors, seconds)


def _options(args: argparse.Namespace) -> IndexOptions:
    from hypserini.index.options import IndexOptions

    return IndexOptions(
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


def _owners(args: argparse.Namespace) -> list[cli.Row]:
    """What each flag belongs to, and does nothing without."""
    named = args.collection is None or args.collection in defaults.COLLECTIONS
    encoding = "fields max_length"
    source = "collection collection_path"
    made = "vectors fields max_length shards pooling l2_norm query_prefix doc_prefix"
    there = not (args.merge or args.add or args.delete)
    return [
        (there, "a new index, which is not made of others", source + " vectors_from"),
        (there, "a new index; one that is there says so itself", made),
        (not args.merge, "encoding, which --merge does not", "batch_size model commit_every"),
        (not args.merge, "an index that is changed, which --merge does not", "add delete"),
        (not (args.add or args.delete), "an index that is made", "overwrite optimize"),
        (args.add or not args.delete, "encoding, which --delete does not", "batch_size resume"),
        (bool(args.shards), "--shards", "cluster"),
        (bool(args.cluster), "--cluster", "cluster_cpus cluster_gpus"),
        (not args.cluster, "one machine; on --cluster a shard has --cluster-cpus", "threads"),
        (not args.shards, "one index, which --shards is not", "vectors_from"),
        (
            not args.vectors_from,
            "encoding, which --vectors-from has behind it",
            f"{source} {encoding} batch_size",
        ),
        (named, "a collection given by its name", "collection_path"),
        (
            VECTOR_FORMATS[args.vectors].has_graph,
            "a graph, which --vectors flat has not",
            "m ef_construction",
        ),
    ]


def index_from_vectors(args: argparse.Namespace) -> None:
    """Build an index from vectors that lie in files."""
    index = _named(args, "--vectors-from needs --index, the folder to make.")

    from hypserini.index.from_vectors import index_vectors

    started = time.perf_counter()
    built = index_vectors(
        args.vectors_from,
        index,
        _options(args),
        model=args.model,
        settings=cli.encoding_settings(args),
        resume=args.resume,
        overwrite=args.overwrite,
        progress=not args.quiet,
    )
    model = built.metadata.model if built.metadata else "unknown"
    seconds = time.perf_counter() - started
    _tell(index, built.documents, model, args.vectors, seconds)


def merge(args: argparse.Namespace) -> None:
    """Make one index of several."""
    index = _named(args, "--merge needs --index, the folder to make.")
    folders = [defaults.index_path(folder) for folder in args.merge]

    from hypserini.index.merging import merge_indexes

    started = time.perf_counter()
    metadata = merge_indexes(
        folders,
        index,
        _options(args),
        resume=args.resume,
        overwrite=args.overwrite,
        progress=not args.quiet,
    )
    seconds = time.perf_counter() - started
    _tell(index, metadata.consumed, metadata.model, metadata.vectors, seconds)


def change(args: argparse.Namespace) -> None:
    """Add documents to an index and delete others."""
    index = _named(args, "--add and --delete need --index, the index to change.")

    from hypserini.formats.docids import means_docids_file, read_docids
    from hypserini.index.changing import change_index

    delete = args.delete
    if delete is not None and means_docids_file(delete):
        delete = list(read_docids(args.delete, IndexingError))
        if not delete:
            raise IndexingError(f"{args.delete} lists no docids: there is nothing to delete.")
    started = time.perf_counter()
    changed = change_index(
        index,
        add=args.add,
        delete=delete,
        options=_options(args),
        model=args.model,
        device=args.device,
        dtype=args.dtype,
        resume=args.resume,
        progress=not args.quiet,
    )
    seconds = time.perf_counter() - started
    counts = f"{changed.added:,} documents added, {changed.deleted:,} deleted or replaced"
    print(f"{index}: {counts}, {seconds:.1f} s")


def _named(args: argparse.Namespace, complaint: str) -> Path:
    if args.index is None:
        raise IndexingError(complaint)
    return defaults.index_path(args.index)


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
