"""Runs: ranked documents for each topic, written as they come and read back."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from hypserini.errors import RunError
from hypserini.formats.output import atomic_output
from hypserini.formats.run_formats import RunRecords

logger = logging.getLogger(__name__)

FORMATS = ("trec", "msmarco", "json")

Run = dict[str, list[tuple[str, float]]]
"""Topic id -> (document id, score) pairs, best first."""


class Hit(Protocol):
    """What a run is made of; Pyserini's hits and ours alike."""

    docid: str
    score: float


class RunWriter:
    """Writes a run topic by topic; made by `write_run`.

    Args:
        file: an open text file.
        format: "trec" (`qid Q0 docid rank score tag`, scores with six digits, as Pyserini),
            "msmarco" (`qid docid rank`, tab-separated), or "json" (a line a topic: `qid`, `query`
            where it is known, `hits` with `docid`, `rank`, `score`, and `contents` if asked for).
        tag: the run's name in TREC runs.
    """

    def __init__(self, file: IO[str], format: str = "trec", tag: str = "hypserini") -> None:
        if format not in FORMATS:
            raise RunError(f"unknown run format {format}: expected {', '.join(FORMATS)}.")
        if not tag or any(char.isspace() for char in tag):
            raise RunError(f"the tag {tag!r} is empty or contains white space: choose another.")
        self._file = file
        self._format = format
        self.tag = tag

    def write(
        self,
        qid: str,
        hits: Iterable[Hit | tuple[str, float]],
        query: str = "",
        contents: Callable[[str], str | None] | None = None,
    ) -> None:
        """Write the hits of one topic, best first.

        Args:
            qid: the topic's id.
            hits: objects with `docid` and `score`, or pairs of them.
            query: the topic's text, kept in the JSON format alone.
            contents: gives the text of a docid, for the JSON format; None leaves texts out.
        """
        pairs = [hit if isinstance(hit, tuple) else (hit.docid, hit.score) for hit in hits]
        if self._format == "json":
            record: dict[str, Any] = {"qid": qid, **({"query": query} if query else {})}
            record["hits"] = [
                {
                    "docid": docid,
                    "rank": rank,
                    "score": round(float(score), 6),
                    **({"contents": contents(docid)} if contents else {}),
                }
                for rank, (docid, score) in enumerate(pairs, 1)
            ]
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            return
        for rank, (docid, score) in enumerate(pairs, 1):
            if self._format == "trec":
                line = f"{qid} Q0 {docid} {rank} {score:.6f} {self.tag}\n"
            else:
                line = f"{qid}\t{docid}\t{rank}\n"
            self._file.write(line)


@contextmanager
def write_run(
    path: str | Path, format: str = "trec", tag: str = "hypserini"
) -> Iterator[RunWriter]:
    """Open a run for writing: it appears at `path` whole when the block ends, or not at all.

    Raises:
        OutputError: the path cannot be written (`files.check_writable` tells so before a search).
        RunError: an unknown format, or a tag that a run cannot hold.
    """
    with atomic_output(path) as file:
        yield RunWriter(file, format, tag)


def read_run(path: str | Path, lines: dict[str, int] | None = None) -> Run:
    """Read a run in any format that `write_run` writes, or `qid docid score`; .gz is decompressed.

    TREC runs are sorted by score, as trec_eval does; equal scores keep the order of the file. If
    their lines or ranks say otherwise, that is logged once, with the line. MS MARCO runs have no
    scores: they get 1/rank. Whether three columns end in ranks or in scores is told by all lines:
    ranks rise from 1 within a topic, scores fall. A first line may name the columns.

    Args:
        path: the file.
        lines: where the first line of each topic goes.

    Raises:
        RunError: a missing or empty file, a malformed line, a document twice for one topic, or
            numbers that are neither ranks nor scores.
    """
    run: Run = {}
    seen: dict[str, set[str]] = {}
    unsorted = 0
    records = RunRecords(path)
    for line, qid, docid, score in records:
        if not unsorted and qid in run and score > run[qid][-1][1]:
            unsorted = line
        documents = seen.setdefault(qid, set())
        if docid in documents:
            raise RunError(
                f"{path}, line {line}: document {docid} occurs twice for topic {qid}: remove one."
            )
        documents.add(docid)
        run.setdefault(qid, []).append((docid, score))
        if lines is not None:
            lines.setdefault(qid, line)
    if not run:
        raise RunError(f"the run {path} is empty.")
    if records.are_ranks():
        return {qid: [(docid, 1 / rank) for docid, rank in hits] for qid, hits in run.items()}
    if unsorted:
        logger.warning(
            "%s, line %d: the score is higher than that of the line before; the run is sorted by"
            " score, whatever its ranks say",
            *(path, unsorted),
        )
    for hits in run.values():
        hits.sort(key=lambda hit: -hit[1])
    return run
