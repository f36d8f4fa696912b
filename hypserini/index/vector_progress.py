"""How far vectors were read up to a commit, and what is left of them when a build is resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from hypserini.errors import CollectionError, IndexingError
from hypserini.formats.vector_readers import VectorBlock, VectorSource
from hypserini.index.metadata import VECTORS_FROM
from hypserini.index.reader import Index

SAMPLED = 64
"""One in so many vectors of the last block is compared before a build is resumed."""


@dataclass(slots=True)
class VectorProgress:
    """What was read up to a commit, kept with it: how a build is resumed.

    `last` is the docid of the last of the `documents`, by which changed files are noticed.
    """

    paths: list[str]
    vectors: str
    model: str | None
    documents: int = 0
    last: str = ""

    @classmethod
    def from_user_data(cls, text: str, building: Path) -> VectorProgress:
        """What `to_user_data` wrote.

        Raises:
            IndexingError: It is something else; names the build.
        """
        try:
            found = cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise _unreadable(building) from error
        if not (
            isinstance(found.paths, list)
            and all(isinstance(path, str) for path in found.paths)
            and type(found.documents) is int
            and found.documents >= 0
            and isinstance(found.last, str)
        ):
            raise _unreadable(building)
        return found

    def to_user_data(self) -> dict[str, str]:
        """The strings of a Lucene commit's user data."""
        return {VECTORS_FROM: json.dumps(asdict(self))}


def left(
    building: Path, sources: Sequence[VectorSource], done: VectorProgress
) -> Iterator[VectorBlock]:
    """The blocks after those that are done, of which the last is compared with what was written."""
    skip = done.documents
    for block in chain.from_iterable(source.pending() for source in sources):
        if skip <= 0:
            yield block.parse()
            continue
        skip -= block.count
        if skip < 0:
            raise _changed(done)
        if skip == 0:
            _compare(building, block.parse(), done)
    if skip > 0:
        raise _changed(done)


def _compare(building: Path, block: VectorBlock, done: VectorProgress) -> None:
    """Refuse a block that is not the last of what is in the build.

    Whether a vector before it has changed is not looked into: that would be to read them all.
    """
    if block.docids[-1] != done.last:
        raise _changed(done)
    some = slice(None, None, SAMPLED)
    try:
        with Index(building) as index:
            same = np.array_equal(index.vectors(block.docids[some]), block.vectors[some])
    except IndexingError:  # one of the documents is not there
        same = False
    if not same:
        raise _changed(done)


def _unreadable(building: Path) -> IndexingError:
    return IndexingError(
        f"the build in {building} does not say what it was made of: give --overwrite to start"
        " again."
    )


def _changed(done: VectorProgress) -> CollectionError:
    return CollectionError(
        f"{', '.join(done.paths)}: these are not the vectors that the build was begun with, of"
        f" which document number {done.documents:,} was {done.last}: give --overwrite to start"
        " again."
    )
