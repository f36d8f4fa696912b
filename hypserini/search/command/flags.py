"""The flags of the search command, named as in `pyserini.search.lucene`."""

from __future__ import annotations

import argparse

from hypserini import cli, defaults
from hypserini.search.resident.residence import FORMATS

MODES = ("auto", "exhaustive", "tangent", "graph", "rerank")


def overlap(text: str) -> float:
    """Parse a share between 0 and 1, for argparse's `type`."""
    value = cli.number(0, 1)(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text} is not a share above 0 and up to 1")
    return value


def delimiter(text: str) -> str:
    """Parse what stands between two parts, for argparse's `type`."""
    if not text:
        raise argparse.ArgumentTypeError("what is empty separates nothing")
    return text


def build_parser() -> argparse.ArgumentParser:
    """The flags, named as in `pyserini.search.lucene`."""
    parser = cli.Parser(
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
    what.add_argument("--query", type=cli.text, metavar="TEXT", help="print the hits of one query")
    what.add_argument(
        "--interactive",
        action="store_true",
        help="ask for queries, and print the hits of BM25 and of the q-nets side by side",
    )
    parser.add_argument(
        "--index",
        nargs="+",
        metavar="FOLDER",
        help="the index to search, or several of one model, which are searched as one (default: "
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
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the run (default: runs/INDEX.TOPICS.txt; of topics in another folder "
        "runs/INDEX.FOLDER.TOPICS.txt)",
    )
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
    parser.add_argument("--threads", type=cli.threads, default=1, help="batches side by side")
    parser.add_argument(
        "--max-length", type=cli.positive_int, help="tokens encoded of a query (default: 32)"
    )
    parser.add_argument(
        "--q-net-size",
        type=cli.whole(0),
        metavar="BLOCKS",
        help="hidden blocks of the q-nets, of a model of nested sizes (default: all)",
    )
    parser.add_argument(
        "--cascade",
        type=cli.whole(0),
        metavar="BLOCKS",
        help="search with q-nets of so many hidden blocks, and rank what they find (twice --hits,"
        " at least 100) by the whole ones",
    )
    cli.add_encoding_arguments(parser, documents=False)
    cli.add_device_arguments(parser)
    cluster = cli.add_cluster_arguments(parser)
    cluster.add_argument(
        "--replicas",
        type=cli.whole(1, 100),
        default=1,
        help="processes that search each shard, in turn; where one dies, another answers while it"
        " is started again (default: 1)",
    )
    cluster.add_argument(
        "--cluster-patience",
        type=cli.number(1),
        default=60.0,
        metavar="SECONDS",
        help="how long a shard may neither answer nor give a sign of life (default: 60)",
    )
    cluster.add_argument(
        "--allow-partial",
        action="store_true",
        help="do without shards that do not answer, which the log and the run's tag say, instead of"
        " ending with an error",
    )
    add_resident_arguments(parser)
    add_mode_arguments(parser)
    add_stage_arguments(parser)
    return parser


def add_resident_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say whether the dense field is kept on the device."""
    group = parser.add_argument_group("the dense field on the device")
    group.add_argument(
        "--resident",
        action=argparse.BooleanOptionalAction,
        help="read it once and keep it there, or read the index block by block (default: kept on a"
        " GPU, if it fits)",
    )
    group.add_argument(
        "--resident-format",
        choices=list(FORMATS),
        help="number format that it is kept in (default: bf16 on a GPU, else fp32)",
    )
    group.add_argument(
        "--resident-memory",
        type=cli.size,
        metavar="SIZE",
        help="what it may take, such as 20g; one that takes more is read block by block (default:"
        " most of what is free)",
    )


def add_mode_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--mode`, the filter, and the flags that belong to each mode."""
    group = parser.add_argument_group("how to search")
    group.add_argument(
        "--mode",
        choices=MODES,
        default="auto",
        help="score all documents (exhaustive), those that the q-net's gradient leads to "
        "(tangent), those met on a walk over the graph (graph), or given ones (rerank); auto: "
        "exhaustive where that is quick on this device, else tangent, which flags of tangent search"
        " choose, too (default: auto)",
    )
    group.add_argument(
        "--filter",
        metavar="QUERY|FILE",
        help="search only documents that match a query in Lucene's syntax, or whose ids are in a "
        "file, one a line",
    )
    group.add_argument(
        "--max-scored", type=cli.positive_int, help="documents scored a topic, at most"
    )
    group = parser.add_argument_group("how well and how dear")
    group.add_argument(
        "--explain",
        action="store_true",
        help="say what the scores of a query's hits are made of: the linear share, and the words of"
        " document and query that raise or lower them",
    )
    group.add_argument(
        "--explain-cost", action="store_true", help="print what a topic cost: mean, median, most"
    )
    group.add_argument(
        "--check",
        type=cli.positive_int,
        metavar="N",
        help="search N topics exhaustively as well, and print what was missed",
    )
    group.add_argument(
        "--target-overlap",
        type=overlap,
        metavar="SHARE",
        help="first find the parameters of tangent search that find this share of the exhaustive "
        "hits, on a sample of the topics, and keep them with the index",
    )
    group = parser.add_argument_group("--mode tangent (defaults follow --hits)")
    group.add_argument("--fetch", type=cli.positive_int, help="documents scored a round")
    group.add_argument("--rounds", type=cli.positive_int, help="at most (default: 8)")
    group.add_argument("--ef-search", type=cli.positive_int, help="breadth of the vector search")
    group.add_argument(
        "--stable",
        type=cli.number(0, 1),
        default=0.005,
        help="share of the hits that the last round may change (default: .005)",
    )
    group = parser.add_argument_group("--mode graph (defaults follow --hits)")
    group.add_argument(
        "--entry", choices=["random", "layer", "bm25", "tangent"], default="tangent", help="where"
    )
    group.add_argument("--num-entry-points", type=cli.positive_int)
    group.add_argument("--ncandidates", type=cli.positive_int, help="nodes expanded a round")
    group.add_argument("--max-iter", type=cli.positive_int, default=16, help="rounds (default: 16)")
    group.add_argument("--no-early-stop", action="store_true", help="walk all rounds")
    group.add_argument(
        "--patience", type=cli.positive_int, default=1, help="rounds without anything new (1)"
    )
    group.add_argument("--frontier", choices=["all", "new"], default="all", help="what to expand")
    group.add_argument("--seed", type=cli.seed, default=43, help="of random entries (default: 43)")


def add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of reranking, BM25, hybrids and passages, named as in Pyserini."""
    group = parser.add_argument_group("reranking (--mode rerank)")
    group.add_argument("--rerank-run", metavar="FILE", help="rerank this run, in any format")
    group.add_argument(
        "--first-stage", choices=["bm25"], help="rerank what BM25 finds in the same index"
    )
    group.add_argument(
        "--rerank-depth", type=cli.positive_int, default=1000, help="of each topic (default: 1000)"
    )
    group.add_argument(
        "--drop-missing",
        action="store_true",
        help="drop documents that the index does not hold; otherwise they come last",
    )
    group.add_argument(
        "--adaptive",
        action="store_true",
        help="score graph neighbours of the best so far, too, in turn with the ranking",
    )
    group.add_argument(
        "--budget",
        type=cli.positive_int,
        help="documents scored a topic under --adaptive (default: as many as are given)",
    )
    group = parser.add_argument_group("BM25, of --first-stage and --hybrid")
    group.add_argument(
        "--k1", type=cli.number(0, 1e9), help="(default: 0.9, or the collection's in Pyserini)"
    )
    group.add_argument(
        "--b", type=cli.number(0, 1), help="(default: 0.4, or the collection's in Pyserini)"
    )
    group.add_argument("--rm3", action="store_true", help="expand the topics by relevance feedback")
    group = parser.add_argument_group("hybrid")
    group.add_argument(
        "--hybrid",
        choices=["rrf", "interpolate", "average", "normalize"],
        help="fuse the ranking with BM25's over the same index, as `python -m pyserini.fusion`",
    )
    group.add_argument(
        "--alpha",
        type=cli.number(0, 1),
        default=0.5,
        help="BM25's weight in --hybrid interpolate (0.5)",
    )
    group.add_argument(
        "--normalization",
        action="store_true",
        help="bring the scores to 0..1 before they are fused",
    )
    group.add_argument(
        "--rrf-k", "--rrf.k", type=cli.positive_int, default=60, help="of --hybrid rrf (60)"
    )
    group = parser.add_argument_group("passages")
    group.add_argument(
        "--max-passage", action="store_true", help="rank documents by their best passage"
    )
    group.add_argument(
        "--max-passage-hits", type=cli.positive_int, default=100, help="documents a topic (100)"
    )
    group.add_argument(
        "--max-passage-delimiter",
        type=delimiter,
        default="#",
        metavar="TEXT",
        help="between the document's id and the passage's (#)",
    )
