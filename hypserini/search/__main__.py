"""`python -m hypserini.search`: search an index with topics and write a run, or ask one query."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini import cli, defaults
from hypserini.errors import IndexingError, TopicsError
from hypserini.search import explain, flags, stages

if TYPE_CHECKING:
    from hypserini.search.filters import Filter
    from hypserini.search.searcher import Hits, LuceneHypencoderSearcher
    from hypserini.search.topics import Topics

SNIPPET = 200


def build_parser() -> argparse.ArgumentParser:
    """The flags, named as in `pyserini.search.lucene`."""
    parser = argparse.ArgumentParser(
        prog="python -m hypserini.search",
        description="Rank the documents of an index by the q-net of each topic and write a run.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--topics",
        metavar="FILE|NAME",
        help="a topics file (TSV, TREC, JSON lines, .gz) or a name that Pyserini knows; "
        "dl19, dl20 and dev are short for the MS MARCO passage topics",
    )
    what.add_argument("--query", metavar="TEXT", help="print the hits of one query")
    what.add_argument(
        "--interactive",
        action="store_true",
        help="ask for queries, and print the hits of BM25 and of the q-nets side by side",
    )
    parser.add_argument(
        "--index",
        metavar="FOLDER",
        help="the index to search (default: "
        f"${defaults.INDEX_VARIABLE}, or the index that belongs to the topics)",
    )
    parser.add_argument(
        "--model", "--encoder", help="the model (default: the one that the index was encoded with)"
    )
    parser.add_argument(
        "--encoded-queries",
        metavar="FOLDER",
        help="take the q-nets from here, as `python -m hypserini.encode` wrote them",
    )
    parser.add_argument("--output", metavar="FILE", help="the run (default: in runs/, by name)")
    parser.add_argument(
        "--output-format",
        choices=["trec", "msmarco", "json"],
        default="trec",
        help="json holds the texts, too (default: trec)",
    )
    parser.add_argument("--hits", type=cli.positive_int, help="a topic (default: 1000; 10 a query)")
    parser.add_argument("--tag", help="the run's tag (default: hypserini- and the mode)")
    parser.add_argument(
        "--remove-query", action="store_true", help="drop the document whose id is the topic's"
    )
    parser.add_argument(
        "--batch-size", type=cli.positive_int, default=16, help="topics at once (default: 16)"
    )
    parser.add_argument("--threads", type=cli.positive_int, default=1, help="batches side by side")
    parser.add_argument(
        "--max-length", type=cli.positive_int, help="tokens encoded of a query (default: 32)"
    )
    cli.add_device_arguments(parser)
    flags.add_mode_arguments(parser)
    stages.add_stage_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Search as the flags say."""
    stages.check_stages(args)
    explain.check_flags(args)
    if args.query is not None:
        ask(args)
        return
    if args.interactive:
        converse(args)
        return
    from hypserini.search.topics import load_topics

    topics = load_topics(args.topics)
    index = find_index(args, topics)
    output = Path(args.output or f"runs/{index.name}.{Path(topics.name).name.split('.')[0]}.txt")

    from hypserini.search.runs import write_run

    texts = dict(topics.items)
    # Opened before the model is loaded: a path that cannot be written costs no time.
    with (
        write_run(output, args.output_format, tag=args.tag or "hypserini") as writer,
        stages.Stages(args, index, topics) as around,
        open_searcher(args, index) as searcher,
    ):
        k = (args.hits or 1000) + bool(args.remove_query)
        told = explain.Explanation(args, searcher, topics, k)
        for line in told.calibrate():
            print(line)
        started = time.perf_counter()
        hits = 0
        wanted = find_filter(args, searcher)
        rankings = told.watch(search_topics(args, searcher, topics, around, k, wanted))
        for qid, ranking in around.finish(rankings, wanted):
            writer.tag = told.tag
            writer.write(qid, ranking, texts[qid], searcher.contents)
            hits += len(ranking)
        seconds = time.perf_counter() - started
        for line in told.lines():
            print(line)
    around.report()
    print(f"{output}: {len(topics):,} topics, {hits:,} hits, {seconds:.1f} s")


def find_index(args: argparse.Namespace, topics: Topics | None) -> Path:
    """The index to search: the flag's, or the default of the topics' collection."""
    family = defaults.COLLECTIONS.get(topics.family or "") if topics else defaults.DEMO_COLLECTION
    if args.index:
        path = Path(args.index)
        if not path.exists() and (defaults.index_root() / path).exists():
            return defaults.index_root() / path
        command = "python -m hypserini.index --collection COLLECTION --index " + args.index
        return require_index(path, command)
    if family is None:
        raise TopicsError(
            f"no default index belongs to the topics {args.topics}: name one with --index."
        )
    return require_index(defaults.default_index(family, args.model), family.build_command)


def require_index(path: Path, build_command: str) -> Path:
    """Return `path` if there is something; the error names the command that builds the index."""
    if path.exists():
        return path
    raise IndexingError(f"the index {path} is not there; build it with: {build_command}")


def open_searcher(args: argparse.Namespace, index: Path) -> LuceneHypencoderSearcher:
    """The searcher for the flags; errors of the model come before the first topic."""
    from hypserini.search.searcher import LuceneHypencoderSearcher

    searcher = LuceneHypencoderSearcher(
        index,
        args.model,
        device=args.device,
        dtype=args.dtype,
        max_length=args.max_length,
        batch_size=args.batch_size,
        **flags.mode_options(args),
    )
    if not args.encoded_queries:
        _ = searcher.encoder
    return searcher


def find_filter(args: argparse.Namespace, searcher: LuceneHypencoderSearcher) -> Filter | None:
    """The filter that the flag asks for."""
    from hypserini.search.filters import make_filter

    return make_filter(searcher.index, args.filter)


def search_topics(
    args: argparse.Namespace,
    searcher: LuceneHypencoderSearcher,
    topics: Topics,
    around: stages.Stages,
    k: int,
    filter: Filter | None,
) -> Iterator[tuple[str, Hits]]:
    """The rankings of all topics in order, under a progress bar."""
    from tqdm import tqdm

    qids = topics.qids
    with tqdm(total=len(qids), desc="searching", unit=" topics", disable=args.quiet) as bar:
        how = {**around.search_options, "filter": filter}
        if args.encoded_queries:
            rankings = search_encoded(args, searcher, qids, k, how)
        else:
            rankings = searcher.stream_search(topics.texts, qids, k, args.threads, **how)
        for qid, ranking in rankings:
            yield qid, ranking
            bar.update()


def search_encoded(
    args: argparse.Namespace,
    searcher: LuceneHypencoderSearcher,
    qids: list[str],
    k: int,
    how: dict[str, Any],
) -> Iterator[tuple[str, Hits]]:
    """The rankings of topics whose q-nets were saved; they are read a batch at a time."""
    from hypserini.encode.saved import SavedQNets

    saved = SavedQNets(args.encoded_queries)
    fingerprint = saved.metadata.get("fingerprint")
    if searcher.metadata and fingerprint and fingerprint != searcher.metadata.fingerprint:
        raise IndexingError(
            f"the q-nets in {args.encoded_queries} were made by {saved.metadata.get('model')} and "
            f"the index {searcher.index.path} by {searcher.metadata.model}: "
            "encode the topics with the model of the index."
        )
    for start in range(0, len(qids), args.batch_size):
        batch = qids[start : start + args.batch_size]
        q_nets = saved.load(batch)
        yield from searcher.stream_search([q_nets[i] for i in range(len(batch))], batch, k, **how)


def ask(args: argparse.Namespace) -> None:
    """Print the hits of one query with a title or the beginning of the text."""
    from hypserini.search.topics import Topics

    index = find_index(args, None)
    args.hits = args.hits or 10
    topics = Topics("query", [("query", args.query)])
    with (
        stages.Stages(args, index, topics) as around,
        open_searcher(args, index) as searcher,
    ):
        wanted = find_filter(args, searcher)
        found = searcher.stream_search(
            topics.texts, topics.qids, args.hits, filter=wanted, **around.search_options
        )
        [(_, hits)] = around.finish(found, wanted)
        for rank, hit in enumerate(hits, start=1):
            document = searcher.doc(hit.docid)
            text = " ".join((document.contents() or "").split()) if document else ""
            print(f"{rank:3} {hit.score:10.4f}  {hit.docid}\n      {text[:SNIPPET]}")


def converse(args: argparse.Namespace) -> None:
    """Ask for queries until an empty line, and print what BM25 and the q-nets find."""
    import shutil

    from hypserini.search.bm25 import Bm25, Bm25Options
    from hypserini.search.interactive import answer

    index = find_index(args, None)
    with (
        Bm25(index, Bm25Options(args.k1, args.b, args.rm3)) as bm25,
        open_searcher(args, index) as searcher,
    ):
        wanted = find_filter(args, searcher)
        print(f"{index}: {searcher.num_docs:,} documents. An empty line ends.")
        while query := read_query():
            width = shutil.get_terminal_size().columns
            print("\n".join(answer(searcher, bm25, query, args.hits or 5, width, wanted)))


def read_query() -> str:
    """A line from the terminal, or "" at its end."""
    try:
        return input("\n? ").strip()
    except EOFError:
        return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
