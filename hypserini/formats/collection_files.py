"""Collection files, line by line: JSON lines, JSON arrays and TSV, plain or gzipped."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from hypserini.errors import CollectionError, named, shown
from hypserini.formats.documents import Document, id_of, make_raw, text_of
from hypserini.formats.headers import TextTable
from hypserini.formats.json_arrays import CHUNK, stream_array
from hypserini.formats.reading import LONGEST_LINE, bounded_lines, check_length, is_packed, reading
from hypserini.formats.values import (
    BOM,
    Malformed,
    check_id,
    clean,
    decode,
    parse_json,
)

SUFFIXES = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".tsv": "tsv",
}


class CollectionFile:
    """One file of a collection, opened on iteration.

    Args:
        path: the file.
        fields: what the text is made of (see `Collection`); None: by the document's own keys.
        format: "json", "tsv", or "auto" for whichever the name or the first character tells.
    """

    def __init__(self, path: Path, fields: Sequence[str] | None, format: str = "auto") -> None:
        self.path = path
        self.fields = fields
        self.format = format
        self.skipped = 0
        self._file: IO[bytes] | None = None
        self._table: TextTable | None = None

    @property
    def size(self) -> int:
        """Bytes of the file as it lies on disk; 0 where it is gone."""
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    @property
    def bytes_read(self) -> int:
        """Bytes consumed so far of the file as it lies on disk (compressed ones of a .gz)."""
        return self._file.tell() if self._file is not None and self._file.seekable() else 0

    def read(self, skip: int = 0) -> Iterator[Document]:
        """Yield the file's documents after the first `skip`; those are counted, not parsed.

        `skipped` says afterwards how many that were: a short file has fewer than `skip`.

        Raises:
            CollectionError: the file cannot be read or decompressed, or a document is malformed.
        """
        self.skipped = 0
        try:
            with (
                reading(self.path, CollectionError, "collection"),
                open(self.path, "rb") as self._file,
            ):
                lines = self._file
                if is_packed(self.path):
                    lines = gzip.open(self._file, "rb")  # type: ignore[assignment]  # noqa: SIM115
                yield from self._read(lines, skip)
        finally:
            self._file = None

    def _read(self, lines: IO[bytes], skip: int) -> Iterator[Document]:
        # An array may be one line as long as the file: no line is read whole before that is known.
        number, first = 1, lines.readline(CHUNK)
        while first and not first.strip(BOM + b" \t\r\n"):
            number, first = number + 1, lines.readline(CHUNK)
        if not first:
            return
        first = first.removeprefix(BOM)
        is_json = self._is_json(first)
        if is_json and first.lstrip().startswith(b"["):
            elements = stream_array(lines, first, number, self.path, CollectionError)
            yield from self._parse_array(elements, skip)
            return
        if not first.endswith(b"\n"):
            first += lines.readline(LONGEST_LINE)
        parse = self._from_json_line if is_json else self._from_tsv_line
        if is_json and self.path.name.removesuffix(".gz").endswith(".json"):
            first = _whole_object(first, lines)
        check_length(first, LONGEST_LINE, f"{self.path}, line {number}", CollectionError)
        if not is_json and self._find_table(first):
            first = b"\n"
        rest = bounded_lines(lines, self.path, CollectionError, number + 1)
        yield from self._parse(chain(((number, first),), rest), parse, skip)

    def _parse(
        self,
        lines: Iterator[tuple[int, bytes]],
        parse: Callable[[str, int], Document],
        skip: int,
    ) -> Iterator[Document]:
        for number, line in lines:
            if line.isspace():
                continue
            if self.skipped < skip:
                self.skipped += 1
                continue
            try:
                document = parse(decode(line.rstrip(b"\r\n")), number)
            except Malformed as error:
                raise self._error(error, number) from error
            yield document

    def _error(self, error: Malformed, line: int) -> CollectionError:
        return CollectionError(f"{self.path}, line {line + error.line}: {error}")

    def _is_json(self, first: bytes) -> bool:
        if self.format != "auto":
            return self.format == "json"
        known = SUFFIXES.get(Path(self.path.name.removesuffix(".gz")).suffix)
        if known:
            return known == "json"
        if first.lstrip()[:1] in (b"{", b"["):
            return True
        if b"\t" in first:
            return False
        raise CollectionError(
            f"cannot tell the format of {self.path}: expected JSON lines, a JSON array, or lines "
            "of id TAB text."
        )

    def _find_table(self, first: bytes) -> bool:
        """Whether the first line of a TSV names its columns; rows are read by them then."""
        try:
            self._table = TextTable.of(decode(first).rstrip("\r\n"))
        except Malformed:
            self._table = None  # told of when the line is parsed
        return self._table is not None

    def _parse_array(
        self, elements: Iterator[tuple[int, str, Any]], skip: int
    ) -> Iterator[Document]:
        for number, raw, value in elements:
            if self.skipped < skip:
                self.skipped += 1
                continue
            try:
                document = self._from_object(value, raw, number)
            except Malformed as error:
                raise self._error(error, number) from error
            yield document

    def _from_json_line(self, text: str, line: int) -> Document:
        return self._from_object(parse_json(text), text.strip(), line)

    def _from_object(self, value: Any, raw: str, line: int) -> Document:
        if not isinstance(value, dict):
            raise Malformed(f"expected a JSON object with an id and a text, found {shown(value)}.")
        return Document(id_of(value), text_of(value, self.fields), raw, str(self.path), line)

    def _from_tsv_line(self, text: str, line: int) -> Document:
        columns = text.split("\t")
        if len(columns) < 2:
            raise Malformed(f"no TAB between an id and a text: {shown(text)}.")
        if self._table:
            row = self._table.row(text)
            docid = check_id(row.pop("id"))
            if self.fields and not all(field.isdecimal() for field in self.fields):
                return self._of_row(docid, text_of(row, self.fields), line)
            if not self.fields:
                usual = "contents" in row or "text" in row
                return self._of_row(docid, text_of(row, None if usual else tuple(row)), line)
            columns = [docid, *row.values()]
        docid = check_id(columns[0])
        chosen = columns[1:]
        if self.fields:
            try:
                chosen = [columns[_position(field)] for field in self.fields]
            except (ValueError, IndexError) as error:
                raise Malformed(
                    f"no columns {named(self.fields)}: the line has {len(columns)}; --fields takes "
                    "the numbers of a TSV's columns, counted from 1 (the id), or the names that "
                    "its first line gives them."
                ) from error
        return self._of_row(docid, clean(" ".join(part for part in chosen if part)), line)

    def _of_row(self, docid: str, contents: str, line: int) -> Document:
        return Document(docid, contents, make_raw(docid, contents), str(self.path), line)


def _position(field: str) -> int:
    number = int(field)
    if number < 1:
        raise IndexError(number)
    return number - 1


def _whole_object(first: bytes, lines: IO[bytes]) -> bytes:
    """The first line, or all of the file where that is one object over several lines."""
    try:
        parse_json(first)
    except Malformed:
        return first + lines.read(LONGEST_LINE)
    return first
