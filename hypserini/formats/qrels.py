"""Qrels: relevance judgements, from a file or by the name that Pyserini knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hypserini.errors import RunError
from hypserini.formats import ir_datasets, names
from hypserini.formats.runs import read_lines

# TREC Deep Learning judges passages from 0 to 3 and counts 2 and 3 as relevant.
_DEEP_LEARNING = re.compile(r"\bdl-?(?:20)?(19|20|21|22|23|hard)\b|\b20(19|20|21)qrels-pass\b")
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

    A file holds TREC's four columns (`qid 0 docid grade`) or BEIR's three (`query-id corpus-id
    score`, with or without that header), and may be gzipped. `irds:` and a name of ir_datasets
    names a data set's judgements.

    Raises:
        RunError: no such file or name (the nearest are named), or a malformed line, or two grades
            for one document (file and line are named).
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    if not path.is_file():
        if ir_datasets.is_dataset(name):
            try:
                return Qrels(name, ir_datasets.read_judgements(name), _kind(path, name))
            except ir_datasets.DatasetError as error:
                raise RunError(str(error)) from error
        if path.is_dir():
            raise RunError(f"{path} is a folder: give a qrels file, or a name such as dl19.")
        if len(path.parts) > 1 or path.suffix in (".tsv", ".txt", ".qrels", ".gz"):
            raise RunError(f"the qrels file {path} does not exist.")
        name = names.canonical_name(name)
        try:
            path = names.find(names.QRELS, name)
        except names.UnknownNameError as error:
            raise RunError(str(error)) from error
    return Qrels(name, read_qrels(path), _kind(path, name))


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Read a qrels file: topic id -> document id -> grade; see `load_qrels`."""
    judgements: dict[str, dict[str, int]] = {}
    for line, text in read_lines(path, "qrels file"):
        fields = text.removeprefix("\ufeff").split()
        if not fields or fields[0] == "query-id":
            continue
        where = f"{path}, line {line}"
        if len(fields) not in (3, 4):
            raise RunError(
                f"{where}: expected `qid 0 docid grade` or `qid docid grade`, found "
                f"{text.strip()[:60]!r}."
            )
        qid, docid, grade = fields[0], fields[-2], fields[-1]
        if not re.fullmatch(r"[+-]?\d+", grade):
            raise RunError(f"{where}: the grade {grade!r} is not a whole number.")
        grades = judgements.setdefault(qid, {})
        if grades.setdefault(docid, int(grade)) != int(grade):
            raise RunError(
                f"{where}: document {docid} has grade {grade} for topic {qid}, and "
                f"{grades[docid]} in an earlier line."
            )
    if not judgements:
        raise RunError(f"the qrels file {path} is empty.")
    return judgements


def _kind(path: Path, name: str) -> str | None:
    for known in (names.plain(name), names.plain(path.name)):
        if _DEEP_LEARNING.search(known):
            return "dl"
        if _MSMARCO_DEV.search(known):
            return "msmarco-dev"
    return None
