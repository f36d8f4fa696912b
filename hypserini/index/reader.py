"""Opens a Lucene index for reading: its metadata, its stored documents, its vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.shards import IndexPaths, folders_of, given_paths, joined

DOCIDS_A_CALL = 65536
LOOKED_UP_AT_ONCE = 4096
SOME = 48
ALIKE = 0.05
"""Standard deviation over mean, as in Lengths.java."""


class Index:
    """An opened index, read only, as it was committed last when it was opened. Thread safe.

    Vectors stay in the index's files, mapped into memory.

    Args:
        path: The folder of an index with a dense field, ours or Anserini's, or of shards; or
            several such folders, which are read as one index.

    Attributes:
        path: The folder; of several, the first.
        folders: Those of Lucene's indexes that are read as one.

    Raises:
        IndexingError: There is no such folder or no Lucene index in it, it was written by a newer
            Lucene than the one at hand, its documents have no vectors, or several were not encoded
            alike.
    """

    def __init__(self, path: IndexPaths) -> None:
        given = given_paths(path)
        self.path = given[0]
        self.folders = folders_of(path)
        self._is_one = len(given) == 1
        java_index = jvm.java_class("io.hypserini.Index")
        from jnius import JavaException

        try:
            self._java: Any = java_index(jvm.pack_paths(self.folders))
        except JavaException as error:
            raise IndexingError(_why_none(self.folders, error)) from error
        self.dimension: int = self._java.dimension()
        """Components of a vector; 0 if the index has no documents."""
        self.kept_filters: dict[str, Any] = {}
        """The filters that it was last searched under, by their queries (`search/filters.py`)."""
        self.num_docs: int = self._java.numDocs()
        """Live documents."""
        if self.num_docs and not self.dimension:
            self.close()
            raise IndexingError(
                f"the index {path} has no dense field (documents without a float vector in the"
                " field 'vector'): search it with Pyserini, or make one with"
                " `python -m hypserini.index`."
            )

    @property
    def java(self) -> Any:
        """The Java object, `io.hypserini.Index`."""
        jvm.start()  # refuses in a forked process, where a call would hang
        return self._java

    def reading(self) -> AbstractContextManager[None]:
        """What surrounds calls of Java that read it: its errors become ours; see `jvm.reading`."""
        return jvm.reading(self.path)

    @property
    def metadata(self) -> dict[str, str]:
        """What the writer recorded with its last commit."""
        java = self.java
        with self.reading():
            numbers = range(len(self.folders))
            data = [jvm.unpack_pairs(java.metadata(number).tostring()) for number in numbers]
        return joined(data, self.folders)

    @property
    def beside(self) -> Path | None:
        """The folder where something may be kept with the index; None for several."""
        return self.path if self._is_one else None

    @cached_property
    def similarity(self) -> str | None:
        """`l2`, `inner_product`, `dot_product` or `cosine`; None if there are no vectors."""
        return self.java.similarity()

    @cached_property
    def num_vectors(self) -> int:
        """Live documents that have a vector."""
        with self.reading():
            return int(self.java.numVectors())

    @property
    def num_segments(self) -> int:
        """Segments the index consists of."""
        return int(self.java.numSegments())

    def raw(self, docid: str) -> str | None:
        """The stored source of a document; None if there is no such document, or nothing stored."""
        return self.stored(docid, "raw")

    def stored(self, docid: str, field: str) -> str | None:
        """A stored field of a document; None if there is no such document, or field."""
        return self.stored_fields([docid], field)[0]

    def stored_fields(self, docids: Sequence[str], field: str) -> list[str | None]:
        """A stored field of each document; None where there is no such document, or field."""
        found: list[str | None] = []
        for packed in _packed(docids):
            with self.reading():
                found += jvm.unpack_some(self.java.stored(packed, field).tostring())
        return found

    def holds(self, docids: Sequence[str]) -> list[bool]:
        """Which of the documents the index holds."""
        found: list[bool] = []
        for packed in _packed(docids):
            with self.reading():
                found += [number >= 0 for number in self.java.docsOf(packed)]
        return found

    def docids(self) -> Iterator[str]:
        """The docids of all live documents, in the order of the index."""
        for start in range(0, self.java.maxDoc(), DOCIDS_A_CALL):
            end = min(start + DOCIDS_A_CALL, self.java.maxDoc())
            with self.reading():
                docids = jvm.unpack(self.java.docids(start, end).tostring())
            yield from docids

    def vectors(self, docids: Sequence[str]) -> np.ndarray:
        """The vectors of some documents in their order, `[n, dimension] float32`.

        Raises:
            IndexingError: A docid that is not in the index, or has no vector.
        """
        blocks = [np.empty((0, self.dimension), np.float32)]
        for packed in _packed(docids):
            with self.reading():
                blocks.append(_rows(self.java.vectors(packed).tostring(), self.dimension))
        rows = np.concatenate(blocks)
        absent = np.isnan(rows).any(axis=1) if self.dimension else np.ones(len(docids), bool)
        if absent.any():
            docid = docids[int(np.flatnonzero(absent)[0])]
            raise IndexingError(f"the index {self.path} has no vector of document {docid}.")
        return rows

    @cached_property
    def some_vectors(self) -> np.ndarray:
        """Up to 48 vectors spread evenly over the index, `[n, dimension] float32`."""
        with self.reading():
            return _rows(self.java.someVectors(SOME).tostring(), self.dimension)

    @cached_property
    def mean_length(self) -> float:
        """The mean length of a few vectors from all over the index."""
        some = self.some_vectors
        return float(np.linalg.norm(some, axis=1).mean()) if len(some) else 0.0

    @cached_property
    def is_quantized(self) -> bool:
        """Whether all segments have a copy of the vectors of a few bits a component."""
        return bool(self.java.isQuantized())

    @cached_property
    def suits_format_search(self) -> bool:
        """Whether Lucene's own search is a good one for what the similarity ranks by."""
        return bool(self.java.suitsFormatSearch())

    @cached_property
    def equally_long(self) -> bool:
        """Whether vectors differ so little in length that angles and distances rank alike."""
        lengths = np.linalg.norm(self.some_vectors, axis=1)
        return bool(len(lengths) and lengths.std() <= ALIKE * lengths.mean())

    def close(self) -> None:
        """Close; searches that are under way end first."""
        self._java.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _packed(docids: Sequence[str]) -> Iterator[bytes]:
    """Docids as Java takes them, so many at once that what comes back is no burden."""
    for start in range(0, len(docids), LOOKED_UP_AT_ONCE):
        yield jvm.pack(docids[start : start + LOOKED_UP_AT_ONCE])


def _rows(data: bytes, dimension: int) -> np.ndarray:
    """Vectors that Java gives as bytes, `[n, dimension] float32`."""
    numbers = np.frombuffer(data, "<f4").astype(np.float32)
    return numbers.reshape(len(numbers) // max(1, dimension), dimension)


def _why_none(folders: Sequence[Path], error: Any) -> str:
    """One sentence on why Lucene did not open some folders as one index."""
    if len(folders) > 1:
        java_index = jvm.java_class("io.hypserini.Index")
        from jnius import JavaException

        for folder in folders:
            try:
                java_index(jvm.pack_path(folder)).close()
            except JavaException as its:
                return _why_not(folder, its)
        names = " and ".join(map(str, folders[:2]))
        return f"{names} cannot be searched as one: {jvm.reason(error)}"
    return _why_not(folders[0], error)


def _why_not(path: Path, error: Any) -> str:
    """One sentence on why Lucene did not open the index."""
    name = error.classname.rpartition(".")[2]
    message = str(error.innermessage)
    if name == "IndexNotFoundException":
        return f"{path} is not a Lucene index: give the folder that holds its segments_* file."
    unknown_codec = "SPI class" in message or "is in the future" in message
    if name == "IndexFormatTooNewException" or unknown_codec:
        return (
            f"the index {path} was written by a newer Lucene than {jvm.lucene_version()}, which"
            " comes with the installed Pyserini: upgrade Pyserini, or make the index anew."
        )
    if name == "IndexFormatTooOldException":
        return (
            f"the index {path} was written by a Lucene too old for {jvm.lucene_version()}, which"
            " comes with the installed Pyserini: make the index anew."
        )
    return f"the index {path} cannot be opened: {jvm.reason(error)}"
