"""Triples as MS MARCO has them: ids of a query, a positive and negatives, texts beside them.

A line is `query positive negative`, or `query positive negative score score`; other orders of the
columns, and more negatives, can be named.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hypserini.errors import TrainingError, shown
from hypserini.formats.values import Malformed, decode, parse_number
from hypserini.train.data.examples import Example, Item
from hypserini.train.data.lines import Checking, LineFile
from hypserini.train.data.selection import Selection
from hypserini.train.data.text_store import TextStore, key_of

COLUMNS = ("query", "positive", "negative", "positive_score", "negative_score")
LEFT_OUT = "-"
# Lines are short: where every so many begin is known, those between are counted.
_EVERY = 64
_BATCH = 1 << 16


class Triples:
    """One example a line, of which memory holds an eighth of a byte.

    Args:
        path: the ids, separated by white space; .gz is unpacked first.
        columns: what the columns are, as `check_columns` wants them; None: told by their number,
            three or five.
        collection: the documents.
        queries: the queries.
        selection: what will be drawn, which every line must have.

    Raises:
        TrainingError: a line is malformed, holds an id that has no text, or a score that is no
            finite number; names line and column.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str] | None,
        collection: TextStore,
        queries: TextStore,
        selection: Selection,
    ) -> None:
        self.collection = collection
        self.queries = queries
        self._file = LineFile(path, every=_EVERY)
        self._columns = list(columns) if columns else self._told_by_number()
        self._query = self._columns.index("query")
        self._documents = [n for n, c in enumerate(self._columns) if c in ("positive", "negative")]
        # The positive first, and the scores in the order of their documents.
        self._documents.sort(key=lambda n: self._columns[n] == "negative")
        self._scores = [n for n, c in enumerate(self._columns) if c.endswith("_score")]
        self._scores.sort(key=lambda n: self._columns[n] == "negative_score")
        self._check(selection)

    def __len__(self) -> int:
        return len(self._file)

    def read(self, position: int, rng: random.Random) -> Example:
        """The example of a line, its positive first."""
        parts = decode(self._file.line(position)).split()
        query = self.queries.find([key_of(parts[self._query])])[0]
        documents = self.collection.find([key_of(parts[n]) for n in self._documents])
        scores: list[float | None] = [float(parts[n]) for n in self._scores]
        scores = scores or [None] * len(documents)
        items = tuple(
            Item(self.collection.text(int(document)), score, "negative" if n else "positive")
            for n, (document, score) in enumerate(zip(documents, scores, strict=True))
        )
        return Example(self.queries.text(int(query)), items)

    def _told_by_number(self) -> list[str]:
        _, line = next(self._file.scan())
        count = len(line.split())
        if count not in (3, 5):
            raise TrainingError(
                f"{self._file.path}, line 1: {count} columns: name each as triples_columns, of "
                f"{', '.join(COLUMNS)} and {LEFT_OUT}."
            )
        return list(COLUMNS[:count])

    def _check(self, selection: Selection) -> None:
        """Check every line, looking ids up in batches."""
        path, width, several = self._file.path, len(self._columns), len(self._documents)
        ids = [self._query, *self._documents]
        numbers: array[int] = array("q")
        keys: array[int] = array("q")
        with Checking(path, "each line's ids and scores") as checking:
            for number, line in self._file.scan():
                try:
                    parts = decode(line).split()
                    if len(parts) != width:
                        raise Malformed(
                            f"{len(parts)} columns, where {width} are expected "
                            f"({', '.join(self._columns)}): {shown(' '.join(parts))}."
                        )
                    for column in self._scores:
                        self._check_score(parts[column], column)
                except Malformed as error:
                    raise TrainingError(f"{path}, line {number}: {error}") from error
                keys.extend(key_of(parts[column]) for column in ids)
                numbers.append(number)
                if len(numbers) == _BATCH:
                    self._look_up(keys, numbers)
                    keys, numbers = array("q"), array("q")
            if numbers:
                self._look_up(keys, numbers)
            checking.count = len(self._file)
        score = 0.0 if self._scores else None
        items = [Item("", score, "positive"), *[Item("", score, "negative")] * (several - 1)]
        try:
            selection.check(items)
        except Malformed as error:
            raise TrainingError(f"{path}, line 1 and all others: {error}") from error

    def _check_score(self, text: str, column: int) -> None:
        what = f"column {column + 1}, {self._columns[column]},"
        try:
            finite = math.isfinite(parse_number(what, text))
        except Malformed:
            finite = False
        if not finite:
            raise Malformed(f"{what} is no finite number: {shown(text)}.")

    def _look_up(self, keys: array[int], numbers: array[int]) -> None:
        """Check that there are texts of all ids, `keys` [lines * (1 + documents)]."""
        width = 1 + len(self._documents)
        for place, column in enumerate([self._query, *self._documents]):
            store = self.collection if place else self.queries
            found = store.find(keys[place::width])
            if found.min() >= 0:
                continue
            at = int(np.flatnonzero(found < 0)[0])
            # Read again, since the id itself was not kept.
            line = next(line for number, line in self._file.scan() if number == numbers[at])
            raise TrainingError(
                f"{self._file.path}, line {numbers[at]}: column {column + 1}, "
                f"{self._columns[column]}: {store.path} has no id "
                f"{shown(decode(line).split()[column])} (columns in another order are named as "
                "triples_columns)."
            )


def check_columns(columns: Sequence[str], where: str) -> None:
    """Check that columns go together; a TrainingError says which do not."""
    for column in columns:
        if column not in (*COLUMNS, LEFT_OUT):
            raise TrainingError(
                f"{where}: triples_columns names {column!r}: known are {', '.join(COLUMNS)} and "
                f"{LEFT_OUT} for what is left out."
            )
    count = {column: columns.count(column) for column in COLUMNS}
    if count["query"] != 1 or count["positive"] != 1:
        raise TrainingError(f"{where}: triples_columns needs one query and one positive.")
    scores = (count["positive_score"], count["negative_score"])
    if scores not in ((0, 0), (1, count["negative"])):
        raise TrainingError(
            f"{where}: triples_columns needs as many scores as documents, or none: it names "
            f"{1 + count['negative']} documents and {sum(scores)} scores."
        )
