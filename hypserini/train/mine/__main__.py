"""`python -m hypserini.train.mine`: add hard negatives from an index to training data."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import IO, TYPE_CHECKING

from hypserini import cli, defaults, jvm
from hypserini.errors import TrainingError
from hypserini.formats.output import atomic_output
from hypserini.search.command import flags
from hypserini.train.data.examples import format_example
from hypserini.train.mine.tasks import ExampleTasks, TopicTasks

if TYPE_CHECKING:
    from hypserini.index.reader import Index
    from hypserini.train.mine.hard_negatives import Counts, Miner, MiningOptions

    Tasks = ExampleTasks | TopicTasks

logger = logging.getLogger(__name__)

MODES = ("bm25", *(mode for mode in flags.MODES if mode != "rerank"))


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.Parser(
        prog="python -m hypserini.train.mine",
        description="Search an index with the query of each training example and add documents "
        "drawn from the hits to it, as hard negatives. What has the id or the text of a positive "
        "is never drawn. The drawn documents have no score: see `python -m hypserini.train.teach`.",
    )
    parser.add_argument("--index", metavar="FOLDER", required=True, help="an index of ours")
    parser.add_argument(
        "--input", metavar="FILE", help="training data as JSON lines, plain or gzipped"
    )
    parser.add_argument(
        "--topics",
        metavar="FILE|NAME",
        help="instead of --input: topics, with --qrels; each relevant document becomes an example, "
        "with its text from the index",
    )
    parser.add_argument("--qrels", metavar="FILE|NAME", help="the judgements of the topics")
    parser.add_argument("--output", metavar="FILE", required=True, help="the JSON lines to write")
    _add_search_arguments(parser)
    _add_draw_arguments(parser)
    cli.add_device_arguments(parser)
    return parser


def _add_search_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to search")
    group.add_argument(
        "--mode",
        choices=MODES,
        default="bm25",
        help="BM25, or the q-net of each query in a mode of hypserini.search (default: bm25)",
    )
    group.add_argument(
        "--model", "--encoder", help="the model (default: the one that the index was encoded with)"
    )
    group.add_argument(
        "--max-length", type=cli.positive_int, help="tokens encoded of a query (default: 32)"
    )
    group.add_argument(
        "--k1", type=cli.number(0, 1e9), help="of BM25 (default: as in hypserini.search)"
    )
    group.add_argument(
        "--b", type=cli.number(0, 1), help="of BM25 (default: as in hypserini.search)"
    )
    group.add_argument(
        "--batch-size", type=cli.positive_int, default=16, help="q-nets at once (default: 16)"
    )
    group.add_argument(
        "--threads", type=cli.threads, default=1, help="queries or batches side by side"
    )


def _add_draw_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to draw")
    group.add_argument(
        "--negatives", type=cli.positive_int, default=8, help="for each example (default: 8)"
    )
    group.add_argument(
        "--depth", type=cli.positive_int, default=100, help="hits to draw from (default: 100)"
    )
    group.add_argument(
        "--skip-top", type=cli.whole(0), default=0, metavar="N", help="leave out the N best hits"
    )
    group.add_argument(
        "--margin",
        type=cli.number(0),
        help="leave out hits that score above the positive's score less this, as likely relevant",
    )
    group.add_argument(
        "--max-score-ratio",
        type=cli.number(0),
        metavar="SHARE",
        help="leave out hits that score above this share of the positive's score",
    )
    group.add_argument(
        "--too-few",
        choices=("keep", "drop", "random"),
        default="keep",
        help="an example with fewer negatives left: keep it with these, drop it, or fill it up "
        "with documents drawn from the whole index (default: keep)",
    )
    group.add_argument("--seed", type=cli.seed, default=0, help="of the drawing (default: 0)")
    group.add_argument(
        "--remove-query",
        action="store_true",
        help="never draw the document whose id is the query's",
    )
    group.add_argument(
        "--keep-scores", action="store_true", help="write the searcher's scores as searcher_score"
    )
    group = parser.add_argument_group("which items are relevant")
    group.add_argument(
        "--positive-filter-type",
        choices=("first", "type"),
        default="first",
        help="the first item, or those of a type (default: first)",
    )
    group.add_argument(
        "--positive-type", default="positive", metavar="TYPE", help="that type (default: positive)"
    )
    group.add_argument(
        "--replace", action="store_true", help="leave out the negatives that the input has"
    )
    group.add_argument(
        "--min-grade",
        type=cli.positive_int,
        help="of a relevant document in the qrels (default: 1; 2 for TREC Deep Learning)",
    )


def run(args: argparse.Namespace) -> None:
    """Mine as the flags say."""
    _check(args)
    started = time.perf_counter()
    jvm.start()  # before a file is open: a JVM that fails may end the process without a word to us
    # Before anything is searched: a path that cannot be written, or a bad line, costs no time.
    with atomic_output(args.output) as file:
        open_tasks = _open_examples(args) if args.input else _open_topics(args)

        from hypserini.search.bm25 import Bm25Options
        from hypserini.train.mine.finders import open_finder
        from hypserini.train.mine.hard_negatives import AT_ONCE, Miner

        finder = open_finder(
            defaults.index_path(args.index),
            args.mode,
            model=args.model,
            bm25=Bm25Options(args.k1, args.b),
            device=args.device,
            dtype=args.dtype,
            max_length=args.max_length,
            batch_size=args.batch_size,
            threads=args.threads,
        )
        with closing(finder):
            tasks = open_tasks(finder.index)
            at_once = max(AT_ONCE, args.batch_size * args.threads)
            miner = Miner(finder, _options(args), at_once=at_once)
            _write(file, miner, tasks, quiet=args.quiet)
        if not miner.counts.examples:
            raise TrainingError(_why_nothing(args, miner.counts))
    _report(args, miner.counts, finder.type, time.perf_counter() - started)
    if isinstance(tasks, TopicTasks):
        _report_topics(tasks)


def _check(args: argparse.Namespace) -> None:
    """Refuse flags that contradict each other, before anything is loaded."""
    if bool(args.input) == bool(args.topics):
        raise TrainingError("give either --input, or --topics together with --qrels.")
    if bool(args.topics) != bool(args.qrels):
        raise TrainingError("--topics and --qrels belong together: give both or neither.")
    if (args.k1 is None) != (args.b is None):
        raise TrainingError("BM25 takes both --k1 and --b, or neither.")
    q_nets = "model max_length batch_size"
    rows: list[cli.Row] = [
        (args.mode != "bm25", "q-nets, and so to another --mode", q_nets),
        (args.mode == "bm25", "--mode bm25", "k1 b"),
        (bool(args.input), "--input", "positive_filter_type positive_type replace"),
        (bool(args.topics), "--topics", "min_grade"),
    ]
    cli.refuse_ignored(args, rows)
    if args.depth - args.skip_top < args.negatives:
        raise TrainingError(
            f"--negatives {args.negatives} cannot be drawn from the hits {args.skip_top + 1} to "
            f"{args.depth}: raise --depth, or lower --skip-top."
        )


def _options(args: argparse.Namespace) -> MiningOptions:
    from hypserini.train.mine.hard_negatives import MiningOptions

    return MiningOptions(
        negatives=args.negatives,
        depth=args.depth,
        skip_top=args.skip_top,
        margin=args.margin,
        max_score_ratio=args.max_score_ratio,
        too_few=args.too_few,
        remove_query=args.remove_query,
        keep_scores=args.keep_scores,
        seed=args.seed,
    )


def _open_examples(args: argparse.Namespace) -> Callable[[Index], Tasks]:
    examples = ExampleTasks(
        args.input,
        positive_filter=args.positive_filter_type,
        positive_type=args.positive_type,
        replace=args.replace,
    )
    return lambda index: examples


def _open_topics(args: argparse.Namespace) -> Callable[[Index], Tasks]:
    from hypserini.formats.qrels import load_qrels
    from hypserini.formats.topics import load_topics
    from hypserini.index.stored_text import StoredTexts

    topics, qrels = load_topics(args.topics), load_qrels(args.qrels)
    grade = args.min_grade or (2 if qrels.kind == "dl" else 1)
    return lambda index: TopicTasks(
        topics.items, qrels.judgements, StoredTexts(index), min_grade=grade, source=topics.name
    )


def _write(file: IO[str], miner: Miner, tasks: Tasks, *, quiet: bool) -> None:
    from tqdm.auto import tqdm

    with tqdm(total=len(tasks), desc="mining", unit=" examples", disable=quiet) as bar:
        for example in miner.mine(tasks):
            if example is not None:
                file.write(format_example(example))
            bar.update()


def _why_nothing(args: argparse.Namespace, counts: Counts) -> str:
    if counts.dropped:
        return (
            f"none of the {counts.dropped:,} examples has {args.negatives} negatives: give "
            "--too-few keep or random, or loosen what leaves hits out."
        )
    return (
        f"no topic of {args.topics} has a relevant document that is in the index {args.index}: "
        "give the qrels of these topics and the index of their collection."
    )


def _report(args: argparse.Namespace, counts: Counts, kind: str, seconds: float) -> None:
    """Log what was written and what is wanting."""
    mined = counts.negatives - counts.random
    logger.info(
        "%s: %s examples, %s of type %s%s, %.1f s",
        *(args.output, f"{counts.examples:,}", f"{mined:,}", kind),
        f" and {counts.random:,} random ones" if counts.random else "",
        seconds,
    )
    if counts.too_few:
        became = {"keep": "kept with fewer", "drop": "dropped", "random": "filled up at random"}
        logger.warning(
            "examples with fewer than %d negatives among the hits, %s: %s",
            *(args.negatives, became[args.too_few], f"{counts.too_few:,}"),
        )
    if counts.absent:
        logger.warning("positives that the index lacks, by their ids: %s", f"{counts.absent:,}")
    if counts.unfiltered:
        logger.warning(
            "examples not filtered by score, since no positive is in the index: %s",
            f"{counts.unfiltered:,}",
        )


def _report_topics(tasks: TopicTasks) -> None:
    if tasks.absent:
        logger.warning("relevant documents that the index lacks: %s", f"{tasks.absent:,}")
    if tasks.idle:
        logger.warning("topics without a relevant document in the index: %s", f"{tasks.idle:,}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
