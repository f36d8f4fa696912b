"""Reads document vectors from files, ours, Pyserini's and Anserini's, in blocks."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path

from hypserini.errors import CollectionError, named, shown
from hypserini.formats.reading import placed, read_json, reading
from hypserini.formats.values import Malformed
from hypserini.formats.vector_arrays import (
    DOCUMENTS,
    ID_FILES,
    count_faiss_vectors,
    count_npy_vectors,
    read_faiss_vectors,
    read_npy_vectors,
)
from hypserini.formats.vector_blocks import BLOCK, PendingBlock, VectorBlock
from hypserini.formats.vector_lines import (
    count_parquet_vectors,
    read_json_vectors,
    read_parquet_vectors,
)
from hypserini.formats.vector_writers import MANIFEST, Manifest

__all__ = ["BLOCK", "PendingBlock", "VectorBlock", "VectorSource"]

logger = logging.getLogger(__name__)

MOST_SHARDS = 100_000


class VectorSource:
    """A file or folder of document vectors.

    A folder that `python -m hypserini.encode` wrote; JSON lines (`id` or `docid`, `vector`,
    perhaps `contents`) as Pyserini and Anserini have them, also gzipped; Parquet (`docid`,
    `vector`); a flat Faiss index with its `docid` file; or .npy with `docids.txt`, `ids.txt` or
    `docid` beside it.

    Attributes:
        manifest: What the folder says of itself; None if it was not written by hypserini.

    Raises:
        CollectionError: The path does not exist or holds no vectors.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = _read_manifest(self.path / MANIFEST)
        with reading(path, CollectionError, "folder of vectors"):
            self._readers = list(_find_readers(self.path))
        if not self._readers:
            raise CollectionError(
                f"{path} holds no vectors: expected .jsonl, .parquet, .npy with docids.txt, or a"
                " Faiss index with its docid file."
            )

    @property
    def documents(self) -> int | None:
        """How many there are, where the files say it without being read through.

        Raises:
            CollectionError: A file is malformed.
        """
        if self.manifest is not None:
            return self.manifest.documents
        count = 0
        for file, read in self._readers:
            if read not in _COUNTS:
                return None
            with reading(file, CollectionError, "vector file"):
                count += _COUNTS[read](file)
        return count

    def __iter__(self) -> Iterator[VectorBlock]:
        """Yield all documents in blocks of up to 4,096.

        Raises:
            CollectionError: A malformed document; names the file and the line or row.
        """
        return (block.parse() for block in self.pending())

    def pending(self) -> Iterator[PendingBlock]:
        """Yield the same blocks unparsed: to pass over them costs little more than reading."""
        count = 0
        for file, read in self._readers:
            with reading(file, CollectionError, "vector file"):
                for block in read(file):
                    count += block.count
                    yield block
        noted = self.manifest.documents if self.manifest is not None else 0
        if noted and count != noted:
            raise CollectionError(
                f"{self.path} holds {count:,} vectors, and {MANIFEST} tells of"
                f" {noted:,}: copy it whole, or encode it again."
            )


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "bool | None": (bool, type(None)),
}
"""What may stand in the fields of a manifest, by the names of their types."""


def _read_manifest(path: Path) -> Manifest | None:
    if not os.path.isfile(path):
        return None
    value = read_json(path, CollectionError, "manifest")
    with placed(f"{path} is damaged, encode this shard again", CollectionError):
        if not isinstance(value, dict):
            raise Malformed(f"no JSON object but {shown(value)}.")
        for field in fields(Manifest):
            given = value.get(field.name, field.default)
            negative = isinstance(given, int) and given < 0
            if type(given) not in _TYPES[str(field.type)] or negative:
                raise Malformed(f"{field.name} is {shown(given)}.")
        if unknown := set(value) - {field.name for field in fields(Manifest)}:
            raise Malformed(f"there is no field {shown(min(unknown))}.")
        manifest = Manifest(**value)
        if not manifest.shard_id < manifest.shard_num <= MOST_SHARDS:
            raise Malformed(f"shard {manifest.shard_id} of {manifest.shard_num}.")
    return manifest


_Reader = Callable[[Path], Iterable[PendingBlock]]

_COUNTS: dict[_Reader, Callable[[Path], int]] = {
    read_parquet_vectors: count_parquet_vectors,
    read_npy_vectors: count_npy_vectors,
    read_faiss_vectors: count_faiss_vectors,
}


def _find_readers(path: Path) -> Iterator[tuple[Path, _Reader]]:
    if not os.path.exists(path):
        raise CollectionError(f"the vectors {path} do not exist.")
    is_folder = os.path.isdir(path)
    files = sorted(path.iterdir()) if is_folder else [path]
    arrays = any(file.suffix == ".npy" for file in files)
    left = []
    for file in files:
        name = file.name.removesuffix(".gz")
        if arrays and name == DOCUMENTS:
            continue  # beside an array lie texts without vectors
        if name.endswith((".jsonl", ".json")):
            yield file, read_json_vectors
        elif name.endswith(".parquet"):
            yield file, read_parquet_vectors
        elif name.endswith(".npy"):
            yield file, read_npy_vectors
        elif name == "index" and is_folder:
            yield file, read_faiss_vectors
        elif name not in (MANIFEST, *ID_FILES) and not name.startswith("."):
            left.append(file.name)
    left = [name for name in left if not name.endswith((".docids.txt", ".ids.txt"))]
    if left and is_folder:
        logger.warning("%s: what is there beside vectors is left out: %s", path, named(left))
