"""Qrels: relevance judgements, from a file or by the name that Pyserini knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypserini.errors import RunError, shown
from hypserini.formats import ir_datasets, names
from hypserini.formats.headers import DOCUMENT_ID, GRADE, QUERY_ID, find_columns
from hypserini.formats.reading import is_file, read_lines
from hypserini.formats.values import Malformed

# TREC Deep Learning judges passages from 0 to 3 and counts 2 and 3 as relevant.
_DEEP_LEARNING = re.compile(r"\bdl-?(?:20)?(19|20|21|22|23|hard)\b|\b20(19|20|21)qrels-pass\b")
# Of its documents, those of grade 1 count as well.
_DOCUMENTS = re.compile(r"\b(docs?|documents?)\b")
# trec_eval keeps a grade in 32 bits.
_GRADE = re.compile(r"[+-]?[0-9]{1,9}")
_MSMARCO_DEV = re.compile(r"\bmsmarco-(v\d-)?passage-dev\b|\bqrels-dev-small\b")


@dataclass(frozen=True)
class Qrels:
    """Judgements.

    Attributes:
        name: the full name (dl19-passage), or the path.
        judgements: topic id -> document id -> grade; a grade of 0 or less is not relevant.
        kind: "dl" (TREC Deep Learning: relevant from grade 2), "msmarco-dev" (one relevant passage
            or few a topic), or None; told by the name.
    """

    name: str
    judgements: dict[str, dict[str, int]]
    kind: str | None = None

    def __len__(self) -> int:
        return len(self.judgements)


def load_qrels(name_or_path: str | Path) -> Qrels:
    """Load qrels from a file, or by a name: dl19, dl20, dev, or any that Pyserini knows.

    A file holds TREC's four columns (`qid 0 docid grade`), BEIR's three (`query-id corpus-id
    score`, with or without that header), or others that a first line names, and may be gzipped.
    `irds:` and a name of ir_datasets names a data set's judgements.

    Raises:
        RunError: no such file or name (the nearest are named), or a malformed line, or two grades
            for one document (file and line are named).
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    named = path.name  # and not its folders
    if not is_file(path):
        if ir_datasets.is_dataset(name):
            try:
                return Qrels(name, ir_datasets.read_judgements(name), _kind(path, name))
            except ir_datasets.DatasetError as error:
                raise RunError(str(error)) from error
        if os.path.isdir(path):
            raise RunError(f"{path} is a folder: give a qrels file, or a name such as dl19.")
        if len(path.parts) > 1 or path.suffix in (".tsv", ".txt", ".qrels", ".gz"):
            raise RunError(f"the qrels file {path} does not exist.")
        named = name = names.canonical_name(name)
        try:
            path = names.find(names.QRELS, name)
        except names.UnknownNameError as error:
            raise RunError(str(error)) from error
    return Qrels(name, read_qrels(path), _kind(path, named))


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Read a qrels file: topic id -> document id -> grade; see `load_qrels`."""
    judgements: dict[str, dict[str, int]] = {}
    for line, qid, docid, grade in read_judgements(path):
        grades = judgements.setdefault(qid, {})
        if grades.setdefault(docid, grade) != grade:
            raise RunError(
                f"{path}, line {line}: document {docid} has grade {grade} for topic {qid}, and "
                f"{grades[docid]} in an earlier line: remove one."
            )
    if not judgements:
        raise RunError(f"the qrels file {path} is empty.")
    return judgements


def read_judgements(path: str | Path) -> Iterator[tuple[int, str, str, int]]:
    """Yield line, topic id, document id and grade of each line; see `load_qrels` for the errors."""
    columns: tuple[int, ...] | None = None
    for line, text in read_lines(path, RunError, "qrels file"):
        try:
            fields = text.split()
            fits = len(fields) in (3, 4) if columns is None else len(fields) > max(columns)
            grade = fields[-1 if columns is None else columns[2]] if fits else ""
            if not _GRADE.fullmatch(grade):
                # Also amid the lines, where files were put together.
                if named := find_columns(fields, QUERY_ID, DOCUMENT_ID, GRADE):
                    columns = named
                    continue
                raise Malformed(
                    f"the grade {shown(grade)} is not a whole number."
                    if fits
                    else "expected `qid 0 docid grade` or `qid docid grade`, found "
                    f"{shown(text.strip())}."
                )
            qid, docid = (fields[n] for n in columns[:2]) if columns else (fields[0], fields[-2])
            yield line, qid, docid, int(grade)
        except Malformed as error:
            raise RunError(f"{path}, line {line}: {error}") from error


def _kind(path: Path, name: str) -> str | None:
    for known in (names.plain(name), names.plain(path.name)):
        if _DEEP_LEARNING.search(known):
            return None if _DOCUMENTS.search(known) else "dl"
        if _MSMARCO_DEV.search(known):
            return "msmarco-dev"
    return None
