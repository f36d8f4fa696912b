"""Lists of docids: a file with an id a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypserini.formats.headers import DOCUMENT_ID, plain_name
from hypserini.formats.reading import Failure, read_lines
from hypserini.formats.values import Malformed, check_id


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
