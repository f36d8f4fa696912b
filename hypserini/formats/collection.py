"""Collections: documents streamed from files, folders, or a data set known by name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypserini.errors import CollectionError
from hypserini.formats.collection_files import SUFFIXES, CollectionFile
from hypserini.formats.documents import Document, make_raw
from hypserini.formats.reading import check_id, clean

__all__ = ["Collection", "Document", "read_collection"]

# Names that Pyserini's users know, and what ir_datasets calls them.
DATASETS = {"msmarco-v1-passage": "msmarco-passage"}
DATASET_PREFIX = "irds:"
# What a folder as distributed (BEIR, MS MARCO) holds beside queries and judgements.
_COLLECTION_NAMES = ("corpus.jsonl", "corpus.jsonl.gz", "collection.tsv", "collection.tsv.gz")
FORMATS = ("auto", "json", "tsv")


class Collection:
    """A collection of documents that is read as a stream; iterating again starts anew.

    Memory stays flat, but for a JSON file that is a single object.

    Args:
        path: a file or a folder. Pyserini's JSON (`id`, `contents`; .jsonl, or .json with an array
            or one object), BEIR's JSON (`_id`, `title`, `text`), or TSV (id, TAB, text, as MS
            MARCO's collection.tsv); each may be gzipped. A folder is read recursively, sorted by
            path: its corpus.jsonl or collection.tsv if it has one, else its JSON files, else its
            TSV files. Or a name: `msmarco-v1-passage`, or `irds:` and a name of ir_datasets.
        fields: the fields that make up the text, joined by a space, empty ones left out; for TSV
            the numbers of the columns, from 1. Default: `contents`, else `title` and `text`; all
            columns after the id.
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
        self._dataset = None
        self._files: list[CollectionFile] = []
        if not Path(path).exists() and _dataset_name(self.path):
            self._dataset = _open_dataset(self.path)
            return
        self._files = [
            CollectionFile(file, self.fields, format) for file in _find_files(Path(path))
        ]

    @property
    def total_bytes(self) -> int | None:
        """Bytes of all files as they lie on disk; None for a data set."""
        if self._dataset is not None:
            return None
        return sum(file.path.stat().st_size for file in self._files)

    @property
    def bytes_read(self) -> int:
        """Bytes consumed by the running iteration, out of `total_bytes`."""
        return self._finished + (self._current.bytes_read if self._current else 0)

    @property
    def total_documents(self) -> int | None:
        """The number of documents where it is known without reading: for a data set."""
        return self._dataset.docs_count() if self._dataset is not None else None

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
            yield from self._read_dataset(skip)
            return
        self._finished, empty = 0, True
        for file in self._files:
            self._current = file
            for document in file.read(skip):
                empty = False
                yield document
            empty = empty and not file.skipped
            skip -= file.skipped
            self._finished += file.path.stat().st_size
            self._current = None
        if empty:
            raise CollectionError(f"{self.path} holds no documents.")

    def _read_dataset(self, skip: int) -> Iterator[Document]:
        for line, document in enumerate(self._obtain(skip), skip + 1):
            where = f"{self.path}, document {line}"
            docid = check_id(document.doc_id)
            if self.fields:
                parts = [getattr(document, field, None) for field in self.fields]
                if all(part is None for part in parts):
                    raise CollectionError(
                        f"{where}: none of the chosen fields {', '.join(self.fields)} (its fields "
                        f"are {', '.join(document._fields)}): choose others with --fields."
                    )
                text = " ".join(str(part) for part in parts if part)
            else:
                text = document.default_text()
            contents = clean(text)
            yield Document(docid, contents, make_raw(docid, contents), self.path, line)

    def _obtain(self, skip: int) -> Iterator[Any]:
        assert self._dataset is not None
        try:
            documents = self._dataset.docs_iter()
            # Its iterators are sliced without reading what is left out.
            yield from documents[skip:] if skip else documents
        except OSError as error:  # requests' errors are of this kind, too
            raise CollectionError(
                f"{self.path} cannot be obtained by ir_datasets ({str(error)[:200]}): give the "
                "path of the collection (MS MARCO's collection.tsv)."
            ) from error


def read_collection(
    path: str | Path,
    *,
    fields: Sequence[str] | None = None,
    format: str = "auto",
    skip: int = 0,
) -> Iterator[Document]:
    """Stream the documents of a collection; see `Collection` and its `read`."""
    return Collection(path, fields, format).read(skip)


def _find_files(path: Path) -> list[Path]:
    if not path.exists():
        raise CollectionError(f"{path} does not exist{_nearest(path)}.")
    if not path.is_dir():
        return [path]
    for name in _COLLECTION_NAMES:
        if (path / name).is_file():
            return [path / name]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    for wanted in ("json", "tsv"):
        found = [file for file in files if _kind(file) == wanted]
        if found:
            return found
    raise CollectionError(
        f"the folder {path} holds no collection: expected files named {', '.join(SUFFIXES)}, "
        "or these with .gz."
    )


def _kind(path: Path) -> str | None:
    return SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix)


def _nearest(path: Path) -> str:
    """Return a hint at what may have been meant by a path that does not exist."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if folder != path.parent:
        return f" ({folder} holds no {path.relative_to(folder).parts[0]})"
    found = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], 1)
    return f" (the nearest is {folder / found[0]})" if found else ""


def _dataset_name(name: str) -> str | None:
    if name.startswith(DATASET_PREFIX):
        return name.removeprefix(DATASET_PREFIX)
    return DATASETS.get(name)


def _open_dataset(name: str) -> Any:
    try:
        ir_datasets = importlib.import_module("ir_datasets")
    except ImportError as error:
        raise CollectionError(
            f"{name} is obtained through ir_datasets, which is not installed: run "
            "`pip install hypserini[datasets]`, or give the path of the collection "
            "(MS MARCO's collection.tsv)."
        ) from error
    try:
        dataset = ir_datasets.load(_dataset_name(name))
    except KeyError as error:
        raise CollectionError(f"ir_datasets knows no {_dataset_name(name)}.") from error
    if not dataset.has_docs():
        raise CollectionError(f"{name} has no documents in ir_datasets.")
    return dataset
