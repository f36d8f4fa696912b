"""Texts by id from large files: ids are kept as numbers, texts stay on the disk."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hypserini.errors import TrainingError, shown
from hypserini.formats.documents import id_of, text_of
from hypserini.formats.headers import TextTable
from hypserini.formats.topic_formats import topic_of
from hypserini.formats.values import BOM, Malformed, check_id, clean, decode, parse_json
from hypserini.train.data.lines import Checking, LineFile


class TextStore:
    """The documents of a collection, or queries, by their ids and by their positions.

    Files are TSV (id, TAB, text, or columns that the first line names) or JSON lines (`id` or
    `_id`, with `contents` or `title` and `text`), as `hypserini.index` and `hypserini.search` read
    them. Each line is checked at once.
    Memory holds 8 to 20 bytes a text: where its line begins, and its id as a number unless ids
    count from 0.

    Args:
        path: the file; .gz is unpacked first.
        queries: whether the texts are queries, which must not be empty.

    Raises:
        TrainingError: the file is missing, damaged or malformed, or an id is given twice; names
            the line.
    """

    def __init__(self, path: str | Path, *, queries: bool = False) -> None:
        self.path = Path(path)
        self.queries = queries
        self._file = LineFile(path)
        self._is_json = False
        self._table: TextTable | None = None
        keys: array[int] = array("q")
        what = "each query's id and text" if queries else "each document's id and text"
        with Checking(self.path, what) as checking:
            is_first = True
            for number, line in self._file.scan():
                try:
                    if is_first:
                        is_first = False
                        self._is_json = line.removeprefix(BOM).lstrip()[:1] == b"{"
                        self._table = TextTable.of(decode(line).rstrip("\r\n"))
                        if self._table:
                            continue
                    docid, text = self._parse(line.rstrip(b"\r\n"))
                    if queries and not text.strip():
                        raise Malformed(f"query {docid} has no text.")
                except Malformed as error:
                    raise TrainingError(f"{self.path}, line {number}: {error}") from error
                keys.append(key_of(docid))
            checking.count = len(keys)
        if not keys:
            raise TrainingError(f"{self.path} is empty but for its first line.")
        self._keys, self._order = self._sorted(np.frombuffer(keys, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._file) - bool(self._table)

    def find(self, keys: Sequence[int]) -> np.ndarray:
        """Return the positions [n] int64 of ids that are given as `key_of` makes them; -1: none."""
        wanted = np.asarray(keys, dtype=np.int64)
        if self._keys is None:
            return np.where((wanted >= 0) & (wanted < len(self)), wanted, -1)
        places = np.searchsorted(self._keys, wanted).clip(max=len(self) - 1)
        found = places if self._order is None else self._order[places]
        return np.where(self._keys[places] == wanted, found, -1)

    def text(self, position: int) -> str:
        """The text at a position in the file, from 0."""
        return clean(self._parse(self._line(position))[1])

    def _line(self, position: int) -> bytes:
        return self._file.line(position + bool(self._table))

    def _sorted(self, keys: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The ids in ascending order with their positions; None where they tell nothing."""
        order = None
        if not (keys[1:] >= keys[:-1]).all():
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            order = order.astype(np.int32 if len(keys) < 2**31 else np.int64)
        if len(same := np.flatnonzero(keys[1:] == keys[:-1])):
            first, second = same[0], same[0] + 1
            if order is not None:
                first, second = order[first], order[second]
            raise TrainingError(
                f"{self.path}, line {self._number(second)}: the id "
                f"{self._parse(self._line(int(second)))[0]} was already given in line "
                f"{self._number(first)}."
            )
        if order is None and keys[0] == 0 and keys[-1] == len(keys) - 1:
            return None, None
        return keys, order

    def _number(self, position: np.integer) -> int:
        return self._file.number(int(position) + bool(self._table))

    def _parse(self, line: bytes) -> tuple[str, str]:
        """The id and the text of a line; raises Malformed, which does not say the place."""
        if self._is_json:
            return self._of(parse_json(line))
        text = decode(line)
        if self._table:
            row = self._table.row(text)
            usual = self.queries or "contents" in row or "text" in row
            return self._of(row) if usual else self._of(row, tuple(row)[1:])
        docid, tab, text = text.partition("\t")
        if not tab:
            raise Malformed(f"no TAB between an id and a text: {shown(docid)}.")
        if "\t" in text:
            # As an index makes it of a document's columns; of a topic's, the second is the query.
            columns = text.split("\t")
            text = columns[0] if self.queries else " ".join(column for column in columns if column)
        return docid if docid.isalnum() else check_id(docid), text

    def _of(self, value: Any, fields: Sequence[str] | None = None) -> tuple[str, str]:
        """The id and the text of an object or of a row of named columns."""
        if not isinstance(value, dict):
            raise Malformed("expected a JSON object with an id and a text.")
        return topic_of(value) if self.queries else (id_of(value), text_of(value, fields))


def key_of(identity: str) -> int:
    """A number of 64 bits for an id: itself where it is a whole number, else a negative hash."""
    # 007 is another id than 7.
    is_number = identity.isdecimal() and identity.isascii() and len(identity) < 19
    if is_number and (identity[0] != "0" or identity == "0"):
        return int(identity)
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) | -(1 << 63)
