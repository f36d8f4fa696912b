"""`python -m hypserini.demo`: a first look that downloads nothing.

Makes a collection of the documentation strings of the installed packages, indexes it with the
bundled model, answers a few questions and runs held-out known-item topics, BM25 beside the q-net.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hypserini import cli, defaults
from hypserini.errors import IndexingError
from hypserini.pydocs.collection import (
    DEFAULT_DOCUMENTS,
    DEFAULT_FOLDER,
    DemoFiles,
    make_collection,
)

if TYPE_CHECKING:
    from hypserini.search import LuceneHypencoderSearcher
    from hypserini.search.bm25 import Bm25

QUESTIONS = (
    "read a csv file into a table",
    "split data into training and test sets",
    "find the shortest path between two nodes of a graph",
    "solve a system of linear equations",
    "how do I send an HTTP request with a timeout",
)
MEASURES = ("nDCG@10", "RR@10", "R@100")
HITS = 3


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.Parser(
        prog="python -m hypserini.demo",
        description="A first look: index the documentation of the installed Python packages, ask "
        "a few questions, and evaluate on held-out topics.",
    )
    parser.add_argument(
        "step",
        nargs="?",
        choices=["all", "collection"],
        default="all",
        help="collection: only make the collection and its topics",
    )
    parser.add_argument(
        "--documents",
        type=cli.positive_int,
        default=DEFAULT_DOCUMENTS,
        help=f"size of the collection (default: {DEFAULT_DOCUMENTS})",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=DEFAULT_FOLDER,
        help=f"where the collection lies (default: {DEFAULT_FOLDER})",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="folders of Python packages to document (default: what is installed)",
    )
    parser.add_argument("--model", default=defaults.default_model(defaults.DEMO_COLLECTION))
    parser.add_argument("--index", metavar="FOLDER", help="the index to make (default: by name)")
    parser.add_argument(
        "--question", type=cli.text, action="append", help="ask this instead (can be repeated)"
    )
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Make, index, ask, evaluate."""
    cli.refuse_ignored(args, [(args.step == "all", "the whole demo", "model index question")])
    started = time.perf_counter()
    files = make_collection(args.folder, args.documents, roots=args.packages)
    _heading("Collection", started)
    print(f"{files.documents:,} documentation strings of {files.packages} packages installed here")
    print(f"{files.collection}")
    if args.step == "collection":
        return

    from hypserini.index.build import build_index
    from hypserini.modeling import load_model
    from hypserini.search import LuceneHypencoderSearcher
    from hypserini.search.bm25 import Bm25

    index = (
        defaults.index_path(args.index)
        if args.index is not None
        else defaults.default_index(defaults.DEMO_COLLECTION, args.model)
    )
    _refuse_to_replace_another(index)
    model = load_model(args.model, device=args.device, dtype=args.dtype)
    step = time.perf_counter()
    build_index(
        files.collection,
        index,
        model,
        overwrite=True,
        progress=not args.quiet,
        collection_name=defaults.DEMO_COLLECTION.name,
    )
    _heading("Index", step)
    rate = files.documents / (time.perf_counter() - step)
    print(f"{index}: text and vectors of {model.dim} dimensions, {rate:,.0f} documents/s")

    bm25 = Bm25(index)
    with LuceneHypencoderSearcher(index, model, device=args.device, mode="exhaustive") as searcher:
        step = time.perf_counter()
        _ask(args.question or QUESTIONS, searcher, bm25)
        _heading("Questions", step)
        step = time.perf_counter()
        if not files.topics.stat().st_size:
            print("\nTopics are made of pandas, scipy and scikit-learn, and none of them is there.")
        else:
            report = _evaluate(files, index.absolute().name, searcher, bm25)
            _heading("Held-out topics", step)
            print(report)
    bm25.close()
    print(f"\nThe whole demo took {time.perf_counter() - started:.0f} s. Ask it yourself:")
    print('  python -m hypserini.search --query "remove duplicate rows"')


def _refuse_to_replace_another(index: Path) -> None:
    """Let the demo replace an index that it made, and no other."""
    from hypserini.index.lucene_files import has_commit
    from hypserini.index.metadata import IndexMetadata
    from hypserini.index.reader import Index

    if not has_commit(index):
        return
    with Index(index) as opened:
        found = IndexMetadata.from_user_data(opened.metadata, str(index))
    if found is None or found.collection != defaults.DEMO_COLLECTION.name:
        raise IndexingError(
            f"the index {index} is not one of the demo, and would be replaced: give another"
            " --index."
        )


def _heading(title: str, started: float) -> None:
    line = f"-- {title} ({time.perf_counter() - started:.1f} s) "
    print(f"\n{line:-<78}", flush=True)


def _ask(
    questions: Sequence[str],
    searcher: LuceneHypencoderSearcher,
    bm25: Bm25,
) -> None:
    """Print the best documents of both for each question."""
    for question in questions:
        print(f"\n? {question}")
        q_net, words = searcher.search(question, HITS), bm25.search(question, HITS)
        for name, hits in (("q-net", q_net), ("BM25", words)):
            for rank, hit in enumerate(hits, 1):
                label = name if rank == 1 else ""
                print(f"  {label:<6} {hit.score:8.3f}  {_end(hit.docid, 60)}")
                print(f"  {'':<16} {_snippet(searcher, hit.docid)}")


def _snippet(searcher: LuceneHypencoderSearcher, docid: str) -> str:
    """The beginning of a document's text, without the lines that repeat its name."""
    document = searcher.doc(docid)
    contents = (document.contents() if document else None) or ""
    return textwrap.shorten(contents.split("\n", 2)[-1], 60, placeholder=" ...")


def _end(docid: str, width: int) -> str:
    """The end of a docid, where the name is, in at most `width` characters."""
    return docid if len(docid) <= width else "..." + docid[3 - width :]


def _evaluate(files: DemoFiles, name: str, searcher: LuceneHypencoderSearcher, bm25: Bm25) -> str:
    """Run the held-out topics with both and their fusion; keep the runs, return the table."""
    from hypserini.evaluate import evaluate, load_qrels, mean
    from hypserini.formats.runs import write_run
    from hypserini.formats.topics import load_topics
    from hypserini.search.hybrid import HybridOptions, fuse

    topics = load_topics(files.topics).items
    qrels = load_qrels(files.qrels)
    texts, qids = [text for _, text in topics], [qid for qid, _ in topics]
    step = time.perf_counter()
    q_net = list(searcher.batch_search(texts, qids, 100).values())
    q_net_seconds = time.perf_counter() - step
    step = time.perf_counter()
    words = [bm25.search(text, 100) for text in texts]
    bm25_seconds = time.perf_counter() - step
    both = fuse(words, q_net, 100, HybridOptions())
    lines = [
        f"{len(topics)} summaries of pandas, scipy and scikit-learn, packages that the model never",
        "saw, each to find the rest of its text; the summary is cut out of the document.",
        "",
        f"{'':<8}" + "".join(f"{measure:>9}" for measure in MEASURES) + f"{'ms/topic':>10}",
    ]
    systems = (
        ("q-net", q_net, q_net_seconds),
        ("BM25", words, bm25_seconds),
        ("both", both, q_net_seconds + bm25_seconds),
    )
    for tag, rankings, seconds in systems:
        run = {
            qid: [(hit.docid, hit.score) for hit in hits]
            for qid, hits in zip(qids, rankings, strict=True)
        }
        scores = evaluate(qrels, run, MEASURES)
        values = "".join(f"{mean(per_topic):>9.3f}" for per_topic in scores.values())
        lines.append(f"{tag:<8}{values}{1000 * seconds / len(topics):>10.1f}")
        with write_run(Path("runs") / f"{name}.{tag.lower()}.txt", tag=tag.lower()) as writer:
            for qid, hits in run.items():
                writer.write(qid, hits)
    return "\n".join([*lines, "both: reciprocal rank fusion. The runs are in runs/."])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
