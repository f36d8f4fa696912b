"""Reads document vectors from files, ours, Pyserini's and Anserini's, in blocks."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hypserini.errors import CollectionError
from hypserini.formats.output import open_text
from hypserini.formats.vector_writers import MANIFEST, Manifest, import_parquet

BLOCK = 4096
ID_KEYS = ("id", "docid", "_id")
ID_FILES = ("docids.txt", "docid", "ids.txt")


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Some documents: ids, `[n, dim] float32`, and their texts and JSON where the files have them.

    `place` says where the block comes from.
    """

    docids: list[str]
    vectors: np.ndarray
    contents: list[str] | None
    raws: list[str] | None
    place: str


@dataclass(frozen=True, slots=True)
class PendingBlock:
    """A block of so many documents that is parsed when it is asked for."""

    count: int
    parse: Callable[[], VectorBlock]


class VectorSource:
    """A file or folder of document vectors.

    A folder that `python -m hypserini.encode` wrote; JSON lines (`id` or `docid`, `vector`,
    perhaps `contents`) as Pyserini and Anserini have them, also gzipped; Parquet (`docid`,
    `vector`); a Faiss index of flat vectors with its `docid` file; or .npy with `docids.txt`,
    `ids.txt` or `docid` beside it.

    Attributes:
        manifest: What the folder says of itself; None if it was not written by hypserini.

    Raises:
        CollectionError: The path does not exist or holds no vectors.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = _read_manifest(self.path / MANIFEST)
        self._readers = list(_find_readers(self.path))
        if not self._readers:
            raise CollectionError(
                f"{path} holds no vectors: expected .jsonl, .parquet, .npy with docids.txt, or a"
                " Faiss index with its docid file."
            )

    def __iter__(self) -> Iterator[VectorBlock]:
        """Yield all documents in blocks of up to 4,096.

        Raises:
            CollectionError: A malformed document; names the file and the line or row.
        """
        return (block.parse() for block in self.pending())

    def pending(self) -> Iterator[PendingBlock]:
        """Yield the same blocks unparsed: to pass over them costs little more than reading."""
        for file, read in self._readers:
            try:
                yield from read(file)
            except (OSError, EOFError, zlib.error) as error:
                raise CollectionError(f"cannot read {file}: {error}.") from error


def _read_manifest(path: Path) -> Manifest | None:
    if not path.is_file():
        return None
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CollectionError(f"{path} is damaged ({error}): encode this shard again.") from error


_Reader = Callable[[Path], Iterable[PendingBlock]]


def _find_readers(path: Path) -> Iterator[tuple[Path, _Reader]]:
    if not path.exists():
        raise CollectionError(f"the vectors {path} do not exist.")
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    arrays = any(file.suffix == ".npy" for file in files)
    for file in files:
        name = file.name.removesuffix(".gz")
        if name.endswith((".jsonl", ".json")):
            # Beside an array lie texts without vectors.
            if not (arrays and name == "documents.jsonl"):
                yield file, _read_json
        elif name.endswith(".parquet"):
            yield file, _read_parquet
        elif name.endswith(".npy"):
            yield file, _read_npy
        elif name == "index" and path.is_dir():
            yield file, _read_faiss


def _read_json(file: Path) -> Iterator[PendingBlock]:
    with open_text(file) as lines:
        stream = (pair for pair in enumerate(lines, 1) if pair[1].strip())
        while group := list(islice(stream, BLOCK)):
            yield PendingBlock(len(group), partial(_json_block, file, group))


def _json_block(file: Path, lines: list[tuple[int, str]]) -> VectorBlock:
    docids: list[str] = []
    vectors: list[np.ndarray] = []
    contents: list[str | None] = []
    raws: list[str | None] = []
    for line, text in lines:
        where = f"{file}, line {line}"
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise CollectionError(f"{where}: malformed JSON ({error.msg}).") from error
        key = next((key for key in ID_KEYS if isinstance(record, dict) and key in record), None)
        if key is None or "vector" not in record:
            raise CollectionError(f"{where}: expected an object with an id and a vector.")
        docids.append(_docid(str(record[key]), where))
        vectors.append(_vector(record["vector"], vectors[0] if vectors else None, where))
        found = record.get("contents")
        contents.append(found if isinstance(found, str) else None)
        raws.append(record.get("raw"))
    place = f"{file}, lines {lines[0][0]} to {lines[-1][0]}"
    return _block(docids, np.stack(vectors), contents, raws, place)


def _vector(value: Any, first: np.ndarray | None, where: str) -> np.ndarray:
    try:
        vector = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise CollectionError(f"{where}: the vector is not a list of numbers.") from error
    if vector.ndim != 1 or not vector.size:
        raise CollectionError(f"{where}: the vector is not a list of numbers.")
    if first is not None and vector.size != first.size:
        raise CollectionError(
            f"{where}: the vector has {vector.size} components, and those before {first.size}."
        )
    return vector


def _docid(docid: str, where: str) -> str:
    docid = docid.strip()
    if not docid or any(char.isspace() for char in docid):
        raise CollectionError(
            f"{where}: the id {docid[:60]!r} is empty or contains white space, which a run cannot"
            " hold."
        )
    return docid


def _block(
    docids: list[str], vectors: np.ndarray, contents: list[Any], raws: list[Any], place: str
) -> VectorBlock:
    if all(text is None for text in contents):
        return VectorBlock(docids, vectors, None, None, place)
    texts = [text or "" for text in contents]
    stored = [
        raw if isinstance(raw, str) else json.dumps({"id": docid, "contents": text})
        for docid, text, raw in zip(docids, texts, raws, strict=True)
    ]
    return VectorBlock(docids, vectors, texts, stored, place)


def _read_parquet(file: Path) -> Iterator[PendingBlock]:
    arrow, parquet = import_parquet()
    try:
        source = parquet.ParquetFile(file)
    except arrow.ArrowInvalid as error:
        raise CollectionError(f"{file} is not a Parquet file ({error}).") from error
    names = source.schema_arrow.names
    key = next((key for key in ID_KEYS if key in names), None)
    if key is None or "vector" not in names:
        raise CollectionError(f"{file}: expected the columns docid and vector, found {names}.")
    row = 0
    for batch in source.iter_batches(BLOCK):
        columns = {name: batch.column(name) for name in names}
        where = f"{file}, rows {row + 1} to {row + len(batch)}"
        yield PendingBlock(len(batch), partial(_parquet_block, columns, key, where))
        row += len(batch)


def _parquet_block(columns: dict[str, Any], key: str, where: str) -> VectorBlock:
    docids = [_docid(str(docid), where) for docid in columns[key].to_pylist()]
    lists = columns["vector"]
    flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    lengths = np.diff(lists.offsets.to_numpy()) if hasattr(lists, "offsets") else None
    if flat.size % len(docids) or (lengths is not None and len(set(lengths.tolist())) > 1):
        raise CollectionError(f"{where}: the vectors differ in length.")
    contents, raws = (
        columns[name].to_pylist() if name in columns else [None] * len(docids)
        for name in ("contents", "raw")
    )
    return _block(docids, flat.reshape(len(docids), -1), contents, raws, where)


def _read_npy(file: Path) -> Iterator[PendingBlock]:
    try:
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise CollectionError(f"{file} is not an array of numbers ({error}).") from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise CollectionError(
            f"{file} holds {vectors.dtype} {list(vectors.shape)}: expected [documents, dimension]"
            " floating-point numbers."
        )
    documents = file.with_name("documents.jsonl")
    if not documents.is_file():
        yield from _with_ids(file, vectors, len(vectors), None)
        return
    with open_text(documents) as texts:
        yield from _with_ids(file, vectors, len(vectors), texts)


def _read_faiss(file: Path) -> Iterator[PendingBlock]:
    try:
        import faiss
    except ImportError as error:
        raise CollectionError(
            f"{file} is a Faiss index: pip install 'hypserini[hybrid]' to read it."
        ) from error
    try:
        index = faiss.read_index(str(file))
        index.reconstruct_n(0, min(1, index.ntotal))
    except RuntimeError as error:
        raise CollectionError(
            f"{file} is not a Faiss index that holds its vectors, as a flat one does."
        ) from error
    yield from _with_ids(file, _Reconstructed(index), index.ntotal, None)


class _Reconstructed:
    """The vectors of a Faiss index by slices."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._index.reconstruct_n(rows.start, rows.stop - rows.start)


def _with_ids(
    file: Path, vectors: Any, count: int, texts: Iterable[str] | None
) -> Iterator[PendingBlock]:
    """Blocks of an array whose docids lie in a file beside it, one a line; `texts` are JSON."""
    names = (*ID_FILES, f"{file.stem}.docids.txt", f"{file.stem}.ids.txt")
    beside = next((file.with_name(n) for n in names if file.with_name(n).is_file()), None)
    if beside is None:
        raise CollectionError(f"{file} has no docids: put {ID_FILES[0]} beside it, one a line.")
    with open_text(beside) as lines:
        docids = [_docid(text, f"{beside}, line {line}") for line, text in enumerate(lines, 1)]
    if len(docids) != count:
        raise CollectionError(f"{beside} has {len(docids):,} docids for {count:,} vectors.")
    stream = iter(texts or ())
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        records = list(islice(stream, end - start)) if texts else None
        if records is not None and len(records) < end - start:
            raise CollectionError(f"{file.with_name('documents.jsonl')} ends before {file} does.")
        rows = slice(start, end)
        yield PendingBlock(
            end - start, partial(_array_block, file, vectors, docids[rows], rows, records)
        )


def _array_block(
    file: Path, vectors: Any, docids: list[str], rows: slice, records: list[str] | None
) -> VectorBlock:
    place = f"{file}, rows {rows.start + 1} to {rows.stop}"
    block = np.asarray(vectors[rows], dtype=np.float32)
    if records is None:
        return VectorBlock(docids, block, None, None, place)
    texts = [
        _text(record, f"{file.with_name('documents.jsonl')}, line {line}")
        for line, record in enumerate(records, rows.start + 1)
    ]
    return _block(docids, block, [text for text, _ in texts], [raw for _, raw in texts], place)


def _text(record: str, where: str) -> tuple[str | None, str | None]:
    """The contents and the stored JSON of a line of `documents.jsonl`."""
    try:
        found = json.loads(record)
        return found.get("contents"), found.get("raw")
    except (ValueError, AttributeError) as error:
        raise CollectionError(f"{where}: expected a JSON object with contents and raw.") from error
