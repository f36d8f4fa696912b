"""The formats of run files, told by their lines: TREC, ranks as MS MARCO's, scores, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hypserini.errors import RunError, shown
from hypserini.formats.headers import DOCUMENT_ID, QUERY_ID, RANK, SCORE, find_columns
from hypserini.formats.reading import read_lines
from hypserini.formats.values import Malformed, check_id, check_number, parse_json, parse_number

Record = tuple[int, str, str, float]
"""Line, topic id, document id, and a score, or what `RunRecords.are_ranks` says."""


class RunRecords:
    """The hits of a run, in the order of its lines.

    Three columns end in a rank (MS MARCO) or in a score (Tevatron), which no line can tell:
    `are_ranks` says what it was when all have been read.

    Args:
        path: the file.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._values = _Values(path)

    def __iter__(self) -> Iterator[Record]:
        """Yield the hits.

        Raises:
            RunError: the file cannot be read, or a line is malformed.
        """
        self._values = _Values(self._path)
        # Where a first line names them: topic, document, rank or score.
        columns: tuple[int, ...] | None = None
        is_rank = False
        width = 0
        for line, text in read_lines(self._path, RunError, "run"):
            try:
                fields = text.split()
                if fields[0][0] == "{":
                    for qid, docid, score in _from_json(text):
                        yield line, qid, docid, score
                    continue
                if not width:
                    width = len(fields)
                    columns, is_rank = _named(fields)
                    if columns:
                        continue
                if len(fields) != width or not (columns or width in (3, 6)):
                    raise Malformed(
                        "expected `qid Q0 docid rank score tag`, `qid docid rank` or `qid docid "
                        f"score`, all lines alike, found {shown(text.strip())}."
                    )
                if columns:
                    qid, docid, number = (fields[column] for column in columns)
                    value = _rank(number) if is_rank else parse_number("score", number)
                    yield line, qid, docid, 1 / value if is_rank else value
                elif width == 6:
                    yield line, fields[0], fields[2], parse_number("score", fields[4])
                else:
                    qid, docid, number = fields
                    value = parse_number("rank or score", number)
                    self._values.add(line, qid, number, value)
                    yield line, qid, docid, value
            except Malformed as error:
                raise RunError(f"{self._path}, line {line}: {error}") from error

    def are_ranks(self) -> bool:
        """Whether what stands in place of the scores were ranks, and not scores.

        Raises:
            RunError: they cannot be either; names the line.
        """
        return self._values.are_ranks()


class _Values:
    """What the third of three columns is: ranks rise from 1 within a topic, scores fall."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._last: dict[str, float] = {}
        self._not_ranks: tuple[int, str] | None = None
        """The first line, with its value, that is no rank."""
        self._not_scores: tuple[int, str] | None = None
        self._zero: int | None = None
        self._begins_at_1 = False

    def add(self, line: int, qid: str, text: str, value: float) -> None:
        last = self._last.get(qid)
        self._last[qid] = value
        whole = text.isdecimal()
        if self._not_ranks is None and not (whole and (last is None or value >= last)):
            self._not_ranks = line, text
        if last is None:
            self._begins_at_1 |= value == 1
            if value == 0 and self._zero is None:
                self._zero = line
        elif value > last and self._not_scores is None:
            self._not_scores = line, text

    def are_ranks(self) -> bool:
        if self._not_ranks is None and self._zero is not None:
            raise RunError(f"{self._path}, line {self._zero}: the rank 0 is not 1 or more.")
        if self._not_ranks is None and (self._begins_at_1 or self._not_scores is None):
            return bool(self._last)
        if self._not_scores is None:
            return False
        line, text = max(self._not_scores, self._not_ranks or (0, ""))
        raise RunError(
            f"{self._path}, line {line}: {shown(text)} is neither a rank (1, 2, 3, ... within a "
            "topic) nor a score (sorted within a topic, the best first): sort the run, or give "
            "`qid Q0 docid rank score tag`."
        )


def _named(fields: Sequence[str]) -> tuple[tuple[int, ...] | None, bool]:
    """The columns that a first line names, and whether they end in a rank; None if it is none."""
    if columns := find_columns(fields, QUERY_ID, DOCUMENT_ID, SCORE):
        return columns, False
    return find_columns(fields, QUERY_ID, DOCUMENT_ID, RANK), True


def _rank(text: str) -> float:
    value = parse_number("rank", text)
    if value < 1:
        raise Malformed(f"the rank {text} is not 1 or more.")
    return value


def _from_json(text: str) -> Iterator[tuple[str, str, float]]:
    record = parse_json(text)
    hits = record.get("hits") if isinstance(record, dict) else None
    if not isinstance(hits, list) or not all(isinstance(hit, dict) for hit in hits):
        raise Malformed(f"expected JSON with qid and hits of docid and score, found {shown(text)}.")
    qid = check_id(record.get("qid"))
    for hit in hits:
        yield qid, check_id(hit.get("docid")), check_number("score", hit.get("score"))
