"""Lists of docids: a file with an id a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hypserini.formats.headers import DOCUMENT_ID, plain_name
from hypserini.formats.reading import Failure, is_file, read_lines
from hypserini.formats.values import Malformed, check_id

_ENDINGS = (".txt", ".tsv", ".csv", ".gz", ".ids", ".docids", ".list", ".lst", ".json", ".jsonl")
"""Of files: one word with such an ending is not meant as a query."""


def read_docids(path: str | Path, failure: Failure, what: str = "docids file") -> Iterator[str]:
    """Yield the docids of a file, also gzipped; a first line `docid` or the like is left out.

    Args:
        path: the file.
        failure: what to raise.
        what: what the file is to the user.

    Raises:
        failure: the file cannot be read, or an id contains white space; names the line.
    """
    is_first = True
    for line, text in read_lines(path, failure, what):
        text = text.strip()
        if is_first:
            is_first = False
            if plain_name(text) in DOCUMENT_ID:
                continue
        try:
            yield check_id(text)
        except Malformed as error:
            raise failure(f"{path}, line {line}: {error}") from error


def means_docids_file(text: str) -> bool:
    """Whether a text is the path of a file of docids, there or not, and no query for documents."""
    if is_file(text):
        return True
    if any(char.isspace() or char in ':"*?()[]{}' for char in text):
        return False
    return text.endswith(_ENDINGS) or os.path.isdir(os.path.dirname(text))
