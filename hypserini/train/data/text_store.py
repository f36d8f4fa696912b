"""Texts by id from large files: ids are kept as numbers, texts stay on the disk."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hypserini.errors import CollectionError, TrainingError
from hypserini.formats import topics
from hypserini.formats.documents import ID_KEYS, check_docid, clean, text_of
from hypserini.train.data.lines import Checking, LineFile, not_utf8, parse_json


class TextStore:
    """The documents of a collection, or queries, by their ids and by their positions.

    Files are TSV (id, TAB, text) or JSON lines (`id` or `_id`, with `contents` or `title` and
    `text`), as `hypserini.index` and `hypserini.search` read them. Each line is checked at once.
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
        keys: array[int] = array("q")
        what = "each query's id and text" if queries else "each document's id and text"
        with Checking(self.path, what) as checking:
            for number, line in self._file.scan():
                if not keys:
                    self._is_json = line.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
                try:
                    docid, text = self._parse(line.rstrip(b"\r\n"))
                except (TrainingError, CollectionError) as error:
                    # What reads documents puts a colon after the place, which is empty there.
                    what = str(error).removeprefix(": ")
                    raise TrainingError(f"{self.path}, line {number}: {what}") from error
                if queries and not text.strip():
                    raise TrainingError(f"{self.path}, line {number}: query {docid} has no text.")
                keys.append(key_of(docid))
            checking.count = len(keys)
        self._keys, self._order = self._sorted(np.frombuffer(keys, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._file)

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
        return clean(self._parse(self._file.line(position))[1])

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
                f"{self.path}, line {self._file.number(int(second))}: the id "
                f"{self._parse(self._file.line(int(second)))[0]} was already given in line "
                f"{self._file.number(int(first))}."
            )
        if order is None and keys[0] == 0 and keys[-1] == len(keys) - 1:
            return None, None
        return keys, order

    def _parse(self, line: bytes) -> tuple[str, str]:
        """The id and the text of a line; errors do not say the place."""
        if self._is_json:
            return self._from_json(line)
        try:
            docid, tab, text = line.decode().partition("\t")
        except UnicodeDecodeError as error:
            raise not_utf8(error) from error
        if not tab:
            raise TrainingError(f"no TAB between an id and a text: {docid[:60]}.")
        if "\t" in text:
            # As an index makes it of a document's columns; of a topic's, the second is the query.
            columns = text.split("\t")
            text = columns[0] if self.queries else " ".join(column for column in columns if column)
        if not docid.isalnum():
            docid = check_docid(docid.removeprefix("\ufeff"), "")
        return docid, text

    def _from_json(self, line: bytes) -> tuple[str, str]:
        value = parse_json(line)
        if not isinstance(value, dict):
            raise TrainingError("expected a JSON object with an id and a text.")
        names = topics.ID_KEYS if self.queries else ID_KEYS
        key = next((name for name in names if name in value), None)
        fields: tuple[str, ...] | None = None
        if self.queries:
            fields = next(((name,) for name in topics.TEXT_KEYS if name in value), None)
        has_text = fields if self.queries else "contents" in value or "text" in value
        if key is None or not has_text:
            raise TrainingError(
                f"there is no {'id' if key is None else 'text'} (the fields are "
                f"{', '.join(value) or 'none'})."
            )
        return check_docid(value[key], ""), text_of(value, fields, "")


def key_of(identity: str) -> int:
    """A number of 64 bits for an id: itself where it is a whole number, else a negative hash."""
    # 007 is another id than 7.
    is_number = identity.isdecimal() and identity.isascii() and len(identity) < 19
    if is_number and (identity[0] != "0" or identity == "0"):
        return int(identity)
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) | -(1 << 63)
