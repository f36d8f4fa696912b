"""Collections: documents streamed from files, folders, or a data set known by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypserini.errors import CollectionError
from hypserini.formats.collection_files import CollectionFile
from hypserini.formats.collection_folders import find_files
from hypserini.formats.documents import Document, make_raw
from hypserini.formats.ir_datasets import DatasetDocuments, DatasetError, is_collection

__all__ = ["Collection", "Document", "read_collection"]

FORMATS = ("auto", "json", "tsv")


class Collection:
    """A collection of documents that is read as a stream; iterating again starts anew.

    Memory stays flat, but for a JSON file that is a single object.

    Args:
        path: a file or a folder. Pyserini's JSON (`id`, `contents`; .jsonl, or .json with an array
            or one object), BEIR's JSON (`_id`, `title`, `text`), or TSV (id, TAB, text, as MS
            MARCO's collection.tsv, or columns that the first line names); each may be gzipped. A
            folder is read recursively, sorted by path, links followed: its corpus.jsonl or
            collection.tsv if it has one, else its JSON files, else its TSV files; what is left out
            is logged. Or a name: `msmarco-v1-passage`, or `irds:` and a name of ir_datasets.
        fields: the fields that make up the text, joined by a space, empty ones left out; for TSV
            the numbers of the columns, from 1, or the names that the first line gives them.
            Default: `contents`, else `title` and `text`; all columns after the id.
        format: "json" or "tsv"; "auto" goes by the names and the first characters.

    Raises:
        CollectionError: the path does not exist or holds no collection.
    """

    def __init__(
        self,
        path: str | Path,
        fields: Sequence[str] | None = None,
        format: str = "auto",
    ) -> None:
        if format not in FORMATS:
            raise CollectionError(f"unknown format {format}: expected {', '.join(FORMATS)}.")
        self.path = str(path)
        self.fields = tuple(fields) if fields else None
        self._current: CollectionFile | None = None
        self._finished = 0
        self._dataset: DatasetDocuments | None = None
        self._files: list[CollectionFile] = []
        if not os.path.exists(path) and is_collection(self.path):
            with _as_collection_error():
                self._dataset = DatasetDocuments(self.path)
            return
        self._files = [CollectionFile(file, self.fields, format) for file in find_files(Path(path))]

    @property
    def total_bytes(self) -> int | None:
        """Bytes of all files as they lie on disk; None for a data set."""
        if self._dataset is not None:
            return None
        return sum(file.size for file in self._files)

    @property
    def bytes_read(self) -> int:
        """Bytes consumed by the running iteration, out of `total_bytes`."""
        return self._finished + (self._current.bytes_read if self._current else 0)

    @property
    def total_documents(self) -> int | None:
        """The number of documents where it is known without reading: for a data set."""
        if self._dataset is None:
            return None
        with _as_collection_error():
            return self._dataset.count

    def __iter__(self) -> Iterator[Document]:
        """Yield all documents; see `read`."""
        return self.read()

    def read(self, skip: int = 0) -> Iterator[Document]:
        """Yield the documents after the first `skip`, which are counted and not parsed.

        Raises:
            CollectionError: a malformed document (naming file and line), an unreadable file, or
                no document at all.
        """
        if self._dataset is not None:
            yield from self._read_dataset(self._dataset, skip)
            return
        self._finished, empty = 0, True
        for file in self._files:
            self._current = file
            for document in file.read(skip):
                empty = False
                yield document
            empty = empty and not file.skipped
            skip -= file.skipped
            self._finished += file.size
            self._current = None
        if empty:
            raise CollectionError(f"{self.path} holds no documents.")

    def _read_dataset(self, documents: DatasetDocuments, skip: int) -> Iterator[Document]:
        with _as_collection_error():
            found = documents.read(skip, self.fields)
            for line, (docid, contents) in enumerate(found, skip + 1):
                yield Document(docid, contents, make_raw(docid, contents), self.path, line)


@contextmanager
def _as_collection_error() -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        raise CollectionError(str(error)) from error


def read_collection(
    path: str | Path,
    *,
    fields: Sequence[str] | None = None,
    format: str = "auto",
    skip: int = 0,
) -> Iterator[Document]:
    """Stream the documents of a collection; see `Collection` and its `read`."""
    return Collection(path, fields, format).read(skip)
