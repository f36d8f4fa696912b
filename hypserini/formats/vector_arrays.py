"""Vectors in an array whose docids lie in a file beside it: .npy, and flat indexes of Faiss."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from hypserini.errors import CollectionError, shorten, shown
from hypserini.formats.docids import read_docids
from hypserini.formats.faiss_files import FlatIndex, read_flat_index
from hypserini.formats.reading import placed, read_lines, reading
from hypserini.formats.values import Malformed, parse_json
from hypserini.formats.vector_blocks import (
    BLOCK,
    PendingBlock,
    VectorBlock,
    docid_of,
    make_block,
    to_floats,
)

DOCUMENTS = "documents.jsonl"
"""The texts beside an array that `vector_writers` wrote."""
ID_FILES = ("docids.txt", "docid", "ids.txt")


def read_npy_vectors(file: Path) -> Iterator[PendingBlock]:
    """Yield the blocks of an .npy file `[documents, dimension]`, which is mapped."""
    vectors = _open_npy(file)
    names = (DOCUMENTS, f"{DOCUMENTS}.gz")
    documents = next((file.with_name(n) for n in names if file.with_name(n).is_file()), None)
    docids = _docids_beside(file, len(vectors))
    yield from _blocks(file, vectors, docids, documents)


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
    file: Path, vectors: np.ndarray, docids: list[str], documents: Path | None
) -> Iterator[PendingBlock]:
    """Blocks of an array, with the texts of a file of as many lines of JSON."""
    stream = iter(read_lines(documents, CollectionError) if documents is not None else ())
    for start in range(0, len(docids), BLOCK):
        rows = slice(start, min(start + BLOCK, len(docids)))
        count = rows.stop - rows.start
        beside = None
        if documents is not None:
            records = list(islice(stream, count))
            if len(records) < count:
                raise CollectionError(f"{documents} ends before {file} does.")
            beside = partial(_texts, documents, docids[rows], records)
        yield PendingBlock(count, partial(_block, file, vectors, docids[rows], rows, beside))
    if (further := next(stream, None)) is not None:
        raise CollectionError(
            f"{documents}, line {further[0]}: {file} has only {len(docids):,} vectors; they are"
            " not of one encoding."
        )


def _block(
    file: Path,
    vectors: np.ndarray,
    docids: list[str],
    rows: slice,
    texts: Callable[[], list[tuple[str | None, str | None]]] | None,
) -> VectorBlock:
    place = f"{file}, rows {rows.start + 1} to {rows.stop}"
    # A copy: what is mapped need not lie where numbers may.
    block = to_floats(np.array(vectors[rows]))
    if texts is None:
        return VectorBlock(docids, block, None, None, place)
    contents, raws = zip(*texts(), strict=True)
    return make_block(docids, block, contents, raws, place)


def _texts(
    documents: Path, docids: list[str], records: list[tuple[int, str]]
) -> list[tuple[str | None, str | None]]:
    """The contents and the stored JSON of some lines, which belong to these documents."""
    texts = []
    for docid, (line, record) in zip(docids, records, strict=True):
        with placed(f"{documents}, line {line}", CollectionError):
            texts.append(_text(docid, record))
    return texts


def _text(docid: str, record: str) -> tuple[str | None, str | None]:
    try:
        found = parse_json(record)
    except Malformed:
        found = None
    if not isinstance(found, dict):
        raise Malformed("expected a JSON object with contents and raw.")
    if "id" in found and docid_of(found["id"]) != docid:
        raise Malformed(
            f"the text of {shown(found['id'])}, where {shown(docid)} has its vector: they are not"
            " of one encoding."
        )
    contents, raw = found.get("contents"), found.get("raw")
    if isinstance(contents, str | None) and isinstance(raw, str | None):
        return contents, raw
    raise Malformed("expected a JSON object with contents and raw.")
