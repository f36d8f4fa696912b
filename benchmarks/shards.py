"""Whether shards rank as one index: one index is shared out into shards, and both are searched.

    python -m benchmarks.shards --index INDEX --topics topics.tsv --shards 1 2 5 16

Vectors and texts are taken over as they are. Of each mode it prints the hit lists that differ
by more than rounding (`search/ranking.py` says how much that is), the places that near ties have
swapped, and the largest difference of a document's scores, as a share of the size of its ranking's.
Of tangent search it prints the overlap@10 with exhaustive search.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.machine import table
from hypserini import LuceneHypencoderSearcher
from hypserini.formats.topics import Topics, load_topics
from hypserini.index.metadata import IndexMetadata
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.index.sharded import shard_name, shard_of
from hypserini.index.shards import Shards
from hypserini.index.stored_text import StoredTexts
from hypserini.search.bm25 import Bm25
from hypserini.search.costs import loss_at
from hypserini.search.hybrid import HybridOptions, fuse
from hypserini.search.ranking import Hits, rounding

AT_ONCE = 2048
DEPTH = 1000
TOP = 10
Run = dict[str, Hits]


def share_out(index: Path, folder: Path, shards: int) -> Path:
    """Write the documents of an index into shards, as a build would; returns the folder."""
    names = [shard_name(number) for number in range(shards)]
    with Index(index) as one:
        metadata = IndexMetadata.from_user_data(one.metadata, str(index))
        assert metadata is not None
        options = IndexOptions().like(metadata)
        counts = [0] * shards
        writers = [options.writer(folder / name, one.dimension, append=False) for name in names]
        docids, texts = one.docids(), StoredTexts(one)
        while part := list(islice(docids, AT_ONCE)):
            vectors = one.vectors(part)
            contents, raws = texts.texts(part), one.stored_fields(part, "raw")  # only raw is stored
            for number, writer in enumerate(writers):
                here = [i for i, docid in enumerate(part) if shard_of(docid, shards) == number]
                counts[number] += len(here)
                given = [[values[i] or "" for i in here] for values in (part, contents, raws)]
                writer.add(given[0], vectors[here], given[1], given[2])
        for writer, count in zip(writers, counts, strict=True):
            writer.finish_merges()
            metadata.consumed = count
            writer.commit(metadata.to_user_data())
            writer.close()
    Shards(names, counts, metadata.model, metadata.fingerprint).write(folder)
    return folder


def runs_of(index: Path, topics: Topics) -> dict[str, Run]:
    """What each mode ranks."""
    texts, qids = topics.texts, topics.qids
    with LuceneHypencoderSearcher(index, device="cpu") as searcher, Bm25(index) as bm25:
        first = bm25.batch_search(texts, qids, DEPTH)
        search = partial(searcher.batch_search, texts, qids)
        exhaustive = search(DEPTH, mode="exhaustive")
        lexical, dense = ([run[qid] for qid in qids] for run in (first, exhaustive))
        fused = fuse(lexical, dense, DEPTH, HybridOptions("interpolate"))
        return {
            "exhaustive": exhaustive,
            "BM25": first,
            "rerank": dict(searcher.batch_rerank(texts, qids, first)),
            "hybrid": dict(zip(qids, fused, strict=True)),
            "tangent": search(TOP, mode="tangent"),
        }


@dataclass(slots=True)
class Agreement:
    """How two runs of one mode agree.

    Attributes:
        different: Topics whose hit lists differ by more than rounding.
        swapped: Places that hold another document, whose score differs by rounding alone.
        largest: The largest difference of a place's scores, as a share of the ranking's size.
    """

    different: int = 0
    swapped: int = 0
    largest: float = 0.0


def agreement(found: Run, expected: Run) -> Agreement:
    """Compare two runs, topic by topic and place by place."""
    agreed = Agreement()
    for qid, wanted in expected.items():
        near = rounding(hit.score for hit in wanted)
        size = max(1.0, *(abs(hit.score) for hit in wanted), 0.0)
        scores = {hit.docid: hit.score for hit in wanted}
        least = wanted[-1].score if wanted else 0.0
        different = len(found[qid]) != len(wanted)
        for ours, theirs in zip(found[qid], wanted, strict=False):
            apart = abs(ours.score - theirs.score)
            agreed.largest = max(agreed.largest, apart / size)
            different |= apart > near
            if ours.docid != theirs.docid:
                agreed.swapped += 1
                # one beyond the last place may have taken it
                different |= abs(scores.get(ours.docid, least) - theirs.score) > 2 * near
        agreed.different += different
    return agreed


def compare(index: Path, topics: Topics, shards: Sequence[int], base: Path) -> list[list[Any]]:
    """A row for each number of shards and mode; tangent's ends with both overlaps."""
    one = runs_of(index, topics)
    rows: list[list[Any]] = []
    for count in shards:
        many = runs_of(share_out(index, base / f"shards-{count}", count), topics)
        for mode in ("exhaustive", "BM25", "rerank", "hybrid"):
            seen = agreement(many[mode], one[mode])
            share = f"{seen.largest:.0e}"
            rows.append([count, mode, seen.different, seen.swapped, share, "", ""])
        overlaps = [
            f"{loss_at(runs['tangent'], one['exhaustive'], TOP).overlap:.4f}"
            for runs in (one, many)
        ]
        rows.append([count, "tangent", "", "", "", *overlaps])
    return rows


HEADER = ["shards", "mode", "topics apart", "near ties swapped", "scores apart by"]


def main(argv: Sequence[str] | None = None) -> None:
    """Share out, search, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--topics", required=True)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 5, 16])
    args = parser.parse_args(argv)
    topics = load_topics(args.topics)
    with Index(args.index) as index:
        documents = index.num_docs
    with tempfile.TemporaryDirectory() as base:
        rows = compare(args.index, topics, args.shards, Path(base))
    header = [*HEADER, f"overlap@{TOP}, one", "shards"]
    table(f"{documents:,} documents, {len(topics)} topics, k = {DEPTH:,}", header, rows)


if __name__ == "__main__":
    main()
