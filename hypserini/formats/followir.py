"""A folder of FollowIR: queries with two instructions, two qrels, and the documents to rank.

As the hub's data sets `jhu-clsp/robust04-instructions`, `news21-instructions` and
`core17-instructions` lie on a disk; each file may be gzipped:

    corpus.jsonl                 {"_id", "title", "text"}, as BEIR's
    queries.jsonl                {"_id", "text", "instruction_og", "instruction_changed"}
    qrels_og/test.jsonl, .tsv    {"query-id", "corpus-id", "score"}: under the original instruction
    qrels_changed/test.jsonl, .tsv    the same under the changed one
    top_ranked.jsonl             {"qid", "pid"}: the documents of a query that are reranked
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypserini.errors import CollectionError, shown
from hypserini.formats.output import atomic_output, check_writable
from hypserini.formats.qrels import read_qrels
from hypserini.formats.reading import placed, read_lines
from hypserini.formats.runs import write_run
from hypserini.formats.values import Malformed, check_id, clean, parse_json

INSTRUCTIONS = ("og", "changed")
"""What FollowIR calls its two instructions."""


@dataclass(frozen=True, slots=True)
class FollowIrFiles:
    """The files that the commands read, made of a folder of FollowIR.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    def topics(self, instruction: str) -> Path:
        """The queries, each with a blank and its instruction behind it (TSV)."""
        return self.folder / f"topics.{instruction}.tsv"

    def qrels(self, instruction: str) -> Path:
        """The judgements under an instruction (TREC)."""
        return self.folder / f"qrels.{instruction}.txt"

    @property
    def candidates(self) -> Path:
        """The documents that are reranked, as a run in the order given."""
        return self.folder / "candidates.txt"


def corpus_of(folder: str | Path) -> Path:
    """The documents of a folder of FollowIR.

    Raises:
        CollectionError: there are none.
    """
    return _file(folder, "corpus.jsonl")


def write_followir(source: str | Path, target: str | Path) -> FollowIrFiles:
    """Write a folder of FollowIR as topics, qrels and a run, which every command reads.

    Args:
        source: the folder, as the head of this file has it.
        target: where to.

    Raises:
        CollectionError: a file is missing or malformed; names it and the line.
        OutputError: the target cannot be written.
    """
    files = FollowIrFiles(Path(target))
    queries = list(_read_queries(_file(source, "queries.jsonl")))
    candidates = _read_candidates(_file(source, "top_ranked.jsonl"))
    qrels = {
        instruction: _read_qrels(
            _file(source, f"qrels_{instruction}/test.jsonl", f"qrels_{instruction}/test.tsv")
        )
        for instruction in INSTRUCTIONS
    }
    check_writable(files.candidates)  # makes the folder
    for position, instruction in enumerate(INSTRUCTIONS):
        with atomic_output(files.topics(instruction)) as file:
            for qid, *texts in queries:
                file.write(f"{qid}\t{texts[position]}\n")
        with atomic_output(files.qrels(instruction)) as file:
            for qid, grades in qrels[instruction].items():
                file.writelines(f"{qid} 0 {docid} {grade}\n" for docid, grade in grades.items())
    with write_run(files.candidates, tag="followir") as run:
        for qid, docids in candidates.items():
            run.write(qid, [(docid, -float(rank)) for rank, docid in enumerate(docids, 1)])
    return files


def _file(folder: str | Path, *names: str) -> Path:
    for name in names:
        for path in (Path(folder, name), Path(folder, f"{name}.gz")):
            if os.path.isfile(path):
                return path
    raise CollectionError(
        f"{folder} has no {' or '.join(names)}: a folder of FollowIR holds corpus.jsonl, "
        "queries.jsonl, top_ranked.jsonl, and test.jsonl or test.tsv in qrels_og and qrels_changed."
    )


def _read_objects(path: Path, keys: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines, each with its place and with these keys."""
    for line, text in read_lines(path, CollectionError):
        place = f"{path}, line {line}"
        with placed(place, CollectionError):
            value = parse_json(text)
            if not isinstance(value, dict):
                raise Malformed(f"expected a JSON object, found {shown(value)}.")
            if lacking := [key for key in keys if key not in value]:
                raise Malformed(f"the object has no {lacking[0]}.")
        yield place, value


def _read_queries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield id, and query with the original and with the changed instruction."""
    keys = tuple(f"instruction_{name}" for name in INSTRUCTIONS)
    for place, value in _read_objects(path, ("_id", "text", *keys)):
        with placed(place, CollectionError):
            texts = [value["text"], *(value[key] for key in keys)]
            if not all(isinstance(text, str) and text.strip() for text in texts):
                raise Malformed(f"text, {' or '.join(keys)} is empty or not a string.")
            query, first, second = (clean(" ".join(text.split())) for text in texts)
            yield check_id(value["_id"]), f"{query} {first}", f"{query} {second}"


def _read_candidates(path: Path) -> dict[str, list[str]]:
    candidates: dict[str, dict[str, None]] = {}
    for place, value in _read_objects(path, ("qid", "pid")):
        with placed(place, CollectionError):
            candidates.setdefault(check_id(value["qid"]), {})[check_id(value["pid"])] = None
    return {qid: list(docids) for qid, docids in candidates.items()}


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    if path.name.startswith("test.tsv"):
        return read_qrels(path)
    judgements: dict[str, dict[str, int]] = {}
    for place, value in _read_objects(path, ("query-id", "corpus-id", "score")):
        with placed(place, CollectionError):
            grade = value["score"]
            # The hub writes whole grades as 1.0.
            if type(grade) not in (int, float) or not math.isfinite(grade) or grade % 1:
                raise Malformed(f"the score {shown(grade)} is not a whole number.")
            grades = judgements.setdefault(check_id(value["query-id"]), {})
            grades[check_id(value["corpus-id"])] = int(grade)
    return judgements
