"""Vectors in records with their docids: JSON lines as Pyserini and Anserini have them, Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hypserini.errors import CollectionError, named, shorten
from hypserini.formats.reading import placed, read_lines
from hypserini.formats.values import Malformed, parse_json
from hypserini.formats.vector_blocks import (
    BLOCK,
    PendingBlock,
    VectorBlock,
    docid_of,
    make_block,
    to_floats,
)
from hypserini.formats.vector_writers import import_parquet

ID_KEYS = ("id", "docid", "_id")


def read_json_vectors(file: Path) -> Iterator[PendingBlock]:
    """Yield the blocks of a file of JSON lines: `id` or `docid`, `vector`, perhaps `contents`."""
    lines = read_lines(file, CollectionError, "vector file")
    while group := list(islice(lines, BLOCK)):
        yield PendingBlock(len(group), partial(_json_block, file, group))


def _json_block(file: Path, lines: list[tuple[int, str]]) -> VectorBlock:
    docids: list[str] = []
    vectors: list[np.ndarray] = []
    contents: list[object] = []
    raws: list[object] = []
    for line, text in lines:
        with placed(f"{file}, line {line}", CollectionError):
            record = parse_json(text)
            key = next((key for key in ID_KEYS if isinstance(record, dict) and key in record), None)
            if key is None or "vector" not in record:
                raise Malformed("expected an object with an id and a vector.")
            docids.append(docid_of(record[key]))
            vectors.append(_vector(record["vector"], vectors[0] if vectors else None))
        contents.append(record.get("contents"))
        raws.append(record.get("raw"))
    place = f"{file}, lines {lines[0][0]} to {lines[-1][0]}"
    return make_block(docids, np.stack(vectors), contents, raws, place)


def _vector(value: object, first: np.ndarray | None) -> np.ndarray:
    vector = to_floats(value)
    if vector.ndim != 1 or not vector.size:
        raise Malformed("the vector is not a list of numbers.")
    if first is not None and vector.size != first.size:
        raise Malformed(f"the vector has {vector.size} components, and those before {first.size}.")
    return vector


def read_parquet_vectors(file: Path) -> Iterator[PendingBlock]:
    """Yield the blocks of a Parquet file: the columns `docid` and `vector`, perhaps `contents`."""
    arrow, parquet = import_parquet()
    with _arrow_errors(file):
        source = parquet.ParquetFile(file)
        names = source.schema_arrow.names
        key = next((key for key in ID_KEYS if key in names), None)
        if key is None or "vector" not in names:
            raise CollectionError(
                f"{file}: expected the columns docid and vector, found {named(names)}."
            )
        _check_vectors(arrow, source.schema_arrow.field("vector").type, file)
        row = 0
        wanted = [name for name in (key, "vector", "contents", "raw") if name in names]
        for batch in source.iter_batches(BLOCK, columns=wanted):
            if not len(batch):
                continue
            columns = {name: batch.column(name) for name in wanted}
            parse = partial(_parquet_block, columns, key, file, row)
            yield PendingBlock(len(batch), parse)
            row += len(batch)


def count_parquet_vectors(file: Path) -> int:
    """The rows of a Parquet file, by its footer."""
    _, parquet = import_parquet()
    with _arrow_errors(file):
        return int(parquet.read_metadata(file).num_rows)


@contextmanager
def _arrow_errors(place: object) -> Iterator[None]:
    """Make an error of ours of what Arrow raises of a file that is damaged, or of another form.

    Its own exceptions are ValueErrors, KeyErrors, NotImplementedErrors and MemoryErrors, or of the
    operating system; a text that is not UTF-8 shows only when it becomes Python's.
    """
    arrow, _ = import_parquet()
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise CollectionError(
            f"{place}: not Parquet, or damaged ({shorten(str(error), 200)})."
        ) from (error)


def _check_vectors(arrow: Any, kind: Any, file: Path) -> None:
    types = arrow.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list or not (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)):
        raise CollectionError(f"{file}: the column vector holds {kind}, and no lists of numbers.")


def _parquet_block(columns: dict[str, Any], key: str, file: Path, before: int) -> VectorBlock:
    lists = columns["vector"]
    place = f"{file}, rows {before + 1} to {before + len(lists)}"
    with _arrow_errors(place):
        docids = []
        for row, docid in enumerate(columns[key].to_pylist(), before + 1):
            with placed(f"{file}, row {row}", CollectionError):
                docids.append(docid_of(docid))
        numbers = lists.flatten()
        if lists.null_count or numbers.null_count:
            raise CollectionError(f"{place}: a vector, or a number of one, is missing.")
        lengths = set(lists.value_lengths().to_pylist())
        if len(lengths) > 1 or lengths == {0}:
            raise CollectionError(f"{place}: the vectors differ in length, or have none.")
        contents, raws = (
            columns[name].to_pylist() if name in columns else [None] * len(docids)
            for name in ("contents", "raw")
        )
        vectors = to_floats(numbers.to_numpy(zero_copy_only=False)).reshape(len(docids), -1)
    return make_block(docids, vectors, contents, raws, place)
