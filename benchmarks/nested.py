"""A model of nested sizes: how well each ranks, and what a cascade of two of them saves.

Of every size: nDCG@10, beside that of a model trained in this size alone where one is given; of
every smaller size as the first step of a cascade: the overlap of its ten best with the whole
q-nets', and the milliseconds a query, fetching and scoring, that it and the whole ones take.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchmarks.machine import table
from hypserini import cli
from hypserini.errors import ModelError
from hypserini.evaluate import Qrels, compare, evaluate, load_qrels, mean, parse_measure
from hypserini.formats.topics import load_topics
from hypserini.modeling import load_model
from hypserini.search import LuceneHypencoderSearcher
from hypserini.search.cascade import Cascade

MEASURE = parse_measure("nDCG@10")
K = 10
MEASURED = 3
"""Times that a search is timed; the best counts."""


class Searched(NamedTuple):
    """What a search gave: the rankings, nDCG@10 topic by topic, and what a query took."""

    rankings: dict[str, list[str]]
    scores: dict[str, float]
    milliseconds: float


def build_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = cli.Parser(prog="python -m benchmarks.nested", description=__doc__)
    parser.add_argument("--index", required=True, help="the index to search, exhaustively")
    parser.add_argument("--topics", required=True, help="topics, a file or a name")
    parser.add_argument("--qrels", required=True, help="their judgements")
    parser.add_argument("--model", required=True, help="the model of nested sizes")
    parser.add_argument(
        "--alone",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="models trained in one size each, which their q-nets tell",
    )
    parser.add_argument(
        "--depth",
        type=cli.positive_int,
        help="documents that small q-nets hand on (default: the cascade's, 100)",
    )
    cli.add_device_arguments(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Search with each size and each cascade, and print the two tables."""
    qrels = load_qrels(args.qrels)
    topics = [(q, text) for q, text in load_topics(args.topics).items if q in qrels.judgements]

    def searched(model: str, blocks: int | None = None, cascade: int | None = None) -> Searched:
        with LuceneHypencoderSearcher(
            args.index,
            model,
            device=args.device,
            dtype=args.dtype,
            mode="exhaustive",
            q_net_size=blocks,
            cascade=None if cascade is None else Cascade(cascade, args.depth),
        ) as searcher:
            return _search(searcher, topics, qrels)

    whole, nested = _sizes(args.model, args.device)
    if not nested:
        raise ModelError(
            f"{args.model} was not trained in nested sizes: train one with "
            "query_encoder_kwargs.nested, or `hypserini.train.adapt --nested`."
        )
    by_size = {_sizes(model, args.device)[0]: model for model in args.alone}
    found = {size: searched(args.model, size) for size in [*nested, whole]}
    rows = []
    for size, one in found.items():
        alone = searched(by_size[size]) if size in by_size else None
        beside = ["", ""]
        if alone is not None:
            (difference,) = compare(alone.scores, [one.scores])
            beside = [
                f"{mean(alone.scores):.4f}",
                f"{difference.difference:+.4f} (p {difference.p:.3f})",
            ]
        rows.append([size, f"{mean(one.scores):.4f}", *beside, f"{one.milliseconds:.1f}"])
    title = f"{args.model}: sizes, {len(topics):,} topics"
    header = ["blocks", str(MEASURE), "trained alone", "difference", "ms a query"]
    table(title, header, rows)
    full = found[whole]
    rows = []
    for size in nested:
        one = searched(args.model, cascade=size)
        rows.append(
            [
                f"{size} -> {whole}",
                f"{_overlap(found[size].rankings, full.rankings):.4f}",
                f"{_overlap(one.rankings, full.rankings):.4f}",
                f"{mean(one.scores):.4f}",
                f"{one.milliseconds:.1f}",
                f"{one.milliseconds / full.milliseconds:.2f}",
            ]
        )
    header = ["cascade", f"overlap@{K}, small alone", f"overlap@{K}", str(MEASURE), "ms a query"]
    table("--cascade, against the whole q-nets", [*header, "of the whole's"], rows)


def _search(
    searcher: LuceneHypencoderSearcher, topics: Sequence[tuple[str, str]], qrels: Qrels
) -> Searched:
    qids, texts = [qid for qid, _ in topics], [text for _, text in topics]
    times = []
    for _ in range(MEASURED):
        found = searcher.batch_search(texts, qids, K)
        times.append(fmean(hits.cost.fetch_ms + hits.cost.score_ms for hits in found.values()))
    run = {qid: {hit.docid: hit.score for hit in hits} for qid, hits in found.items()}
    rankings = {qid: [hit.docid for hit in hits] for qid, hits in found.items()}
    return Searched(rankings, evaluate(qrels, run, [MEASURE])[MEASURE], min(times))


def _overlap(one: dict[str, list[str]], other: dict[str, list[str]]) -> float:
    return fmean(len({*one[qid]} & {*other[qid]}) / max(1, len(other[qid])) for qid in other)


def _sizes(model: str, device: str) -> tuple[int, list[int]]:
    """The hidden blocks of a model's whole q-nets, and of those nested in them."""
    if not Path(model).exists():
        raise ModelError(f"{model} does not exist: give the folder of a model.")
    config = load_model(model, device=device).config
    kwargs = config.query_encoder_kwargs
    widths = kwargs["converter_kwargs"]["vector_dimensions"]
    return len(widths) - 2, sorted(kwargs.get("nested") or [])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return cli.main(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
