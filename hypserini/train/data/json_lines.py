"""JSON lines: `{"query": {"id", "content"}, "items": [{"id", "content", "score", "type"}, ...]}`.

This is the format of the paper's data; ids, scores and types may be left out where nothing needs
them.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from hypserini.errors import TrainingError
from hypserini.formats.values import Malformed, parse_json
from hypserini.train.data.examples import Example, parse_example
from hypserini.train.data.lines import Checking, LineFile
from hypserini.train.data.selection import Selection


class JsonLines:
    """The examples of one file or several, one after the other.

    Every line is checked at once; then lines are read as they are needed, and memory holds eight
    bytes an example.

    Args:
        paths: the files; those that end in .gz are unpacked first.
        selection: what will be drawn, which every line must have.
        label_key: the field of an item that holds its score, or None.
        by_docid: documents are named by their ids, and need no text.

    Raises:
        TrainingError: a file is missing, damaged, empty or malformed; names line and field.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        selection: Selection,
        label_key: str | None,
        *,
        by_docid: bool = False,
    ) -> None:
        self.label_key = label_key
        self.by_docid = by_docid
        self._docids: set[str] = set()
        self._files = [LineFile(path) for path in paths]
        for file in self._files:
            self._check(file, selection)
        self._ends = list(accumulate(len(file) for file in self._files))

    def __len__(self) -> int:
        return self._ends[-1]

    def read(self, position: int, rng: random.Random) -> Example:
        """The example at `position` with all its items."""
        number = bisect_right(self._ends, position)
        start = self._ends[number - 1] if number else 0
        return self._parse(self._files[number].line(position - start))

    def docids(self) -> set[str]:
        """All documents that examples name, where they name them by id."""
        return self._docids

    def _check(self, file: LineFile, selection: Selection) -> None:
        with Checking(file.path, "each line's query, items, scores and types") as checking:
            for number, line in file.scan():
                try:
                    items = self._parse(line).items
                    selection.check(items)
                except Malformed as error:
                    raise TrainingError(f"{file.path}, line {number}: {error}") from error
                self._docids.update(item.docid for item in items if item.docid is not None)
            checking.count = len(file)

    def _parse(self, line: bytes) -> Example:
        value = parse_json(line.rstrip(b"\r\n"))
        return parse_example(value, self.label_key, by_docid=self.by_docid)
