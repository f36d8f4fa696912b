"""Vectors in an array whose docids lie in a file beside it: .npy, and flat indexes of Faiss."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from hypserini.errors import CollectionError, shorten
from hypserini.formats.docids import read_docids
from hypserini.formats.faiss_files import FlatIndex, read_flat_index
from hypserini.formats.reading import placed, read_lines, reading
from hypserini.formats.values import Malformed, parse_json
from hypserini.formats.vector_blocks import (
    BLOCK,
    PendingBlock,
    VectorBlock,
    make_block,
    to_floats,
)

DOCUMENTS = "documents.jsonl"
"""The texts beside an array that `vector_writers` wrote."""
ID_FILES = ("docids.txt", "docid", "ids.txt")


def read_npy_vectors(file: Path) -> Iterator[PendingBlock]:
    """Yield the blocks of an .npy file `[documents, dimension]`, which is mapped."""
    vectors = _open_npy(file)
    documents = file.with_name(DOCUMENTS)
    texts = read_lines(documents, CollectionError) if documents.is_file() else None
    docids = _docids_beside(file, len(vectors))
    yield from _blocks(file, vectors, docids, texts)


def count_npy_vectors(file: Path) -> int:
    """The vectors of an .npy file, by its header."""
    return len(_open_npy(file))


def _open_npy(file: Path) -> np.ndarray:
    vectors = _map_npy(file)
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        raise CollectionError(
            f"{file} holds {vectors.dtype} {list(vectors.shape)}: expected [documents, dimension]"
            " floating-point numbers."
        )
    return vectors


def _map_npy(file: Path) -> np.ndarray:
    try:
        with reading(file, CollectionError, "vector file"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.lib.format.open_memmap(file, mode="r")
    except CollectionError:
        raise
    except Exception as error:
        # The header is an expression in Python, which fails in as many ways as Python has.
        raise CollectionError(
            f"{file} is not an array of numbers ({shorten(str(error), 120)})."
        ) from error


def read_faiss_vectors(file: Path) -> Iterator[PendingBlock]:
    """Yield the blocks of a flat Faiss index, which is mapped."""
    index = _open_faiss(file)
    docids = _docids_beside(file, len(index.vectors) if index.ids is None else None)
    if index.ids is not None:
        outside = np.flatnonzero((index.ids < 0) | (index.ids >= len(docids)))
        if outside.size:
            raise CollectionError(
                f"{file}: the vector number {outside[0] + 1:,} has the id {index.ids[outside[0]]}, "
                f"and there are {len(docids):,} docids, which ids count from 0."
            )
        docids = [docids[number] for number in index.ids]
    yield from _blocks(file, index.vectors, docids, None)


def count_faiss_vectors(file: Path) -> int:
    """The vectors of a flat Faiss index, by its header."""
    return len(_open_faiss(file).vectors)


def _open_faiss(file: Path) -> FlatIndex:
    with reading(file, CollectionError, "Faiss index"), placed(str(file), CollectionError):
        return read_flat_index(file)


def _docids_beside(file: Path, count: int | None) -> list[str]:
    """The docids of a file, which must be `count` unless that is None."""
    names = (*ID_FILES, f"{file.stem}.docids.txt", f"{file.stem}.ids.txt")
    beside = next((file.with_name(n) for n in names if file.with_name(n).is_file()), None)
    if beside is None:
        raise CollectionError(f"{file} has no docids: put {ID_FILES[0]} beside it, one a line.")
    docids = list(read_docids(beside, CollectionError))
    if count is not None and len(docids) != count:
        raise CollectionError(f"{beside} has {len(docids):,} docids for {count:,} vectors.")
    return docids


def _blocks(
    file: Path, vectors: np.ndarray, docids: list[str], texts: Iterable[tuple[int, str]] | None
) -> Iterator[PendingBlock]:
    """Blocks of an array; `texts` are lines of JSON."""
    stream = iter(texts or ())
    for start in range(0, len(docids), BLOCK):
        rows = slice(start, min(start + BLOCK, len(docids)))
        count = rows.stop - rows.start
        records = list(islice(stream, count)) if texts is not None else None
        if records is not None and len(records) < count:
            raise CollectionError(f"{file.with_name(DOCUMENTS)} ends before {file} does.")
        yield PendingBlock(count, partial(_block, file, vectors, docids[rows], rows, records))


def _block(
    file: Path,
    vectors: np.ndarray,
    docids: list[str],
    rows: slice,
    records: list[tuple[int, str]] | None,
) -> VectorBlock:
    place = f"{file}, rows {rows.start + 1} to {rows.stop}"
    # A copy: what is mapped need not lie where numbers may.
    block = to_floats(np.array(vectors[rows]))
    if records is None:
        return VectorBlock(docids, block, None, None, place)
    texts = []
    for line, record in records:
        with placed(f"{file.with_name(DOCUMENTS)}, line {line}", CollectionError):
            texts.append(_text(record))
    return make_block(docids, block, [text for text, _ in texts], [raw for _, raw in texts], place)


def _text(record: str) -> tuple[str | None, str | None]:
    """The contents and the stored JSON of a line of `documents.jsonl`."""
    try:
        found = parse_json(record)
    except Malformed:
        found = None
    if isinstance(found, dict):
        contents, raw = found.get("contents"), found.get("raw")
        if isinstance(contents, str | None) and isinstance(raw, str | None):
            return contents, raw
    raise Malformed("expected a JSON object with contents and raw.")
