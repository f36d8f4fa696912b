"""Writes document vectors to files: JSON lines, Parquet or .npy, to be indexed elsewhere."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hypserini.errors import OutputError
from hypserini.formats.output import atomic_folder

FORMATS = ("jsonl", "parquet", "npy")
MANIFEST = "vectors.manifest"  # not .json, which Anserini would read as a collection


@dataclass(slots=True)
class Manifest:
    """What a folder of vectors holds and which model made them; kept beside them as JSON.

    `documents`, `empty` and `truncated` count this shard alone; `shard_id` counts from 0.
    """

    format: str
    model: str
    fingerprint: str
    dimension: int
    pooling: str
    max_length: int
    collection: str
    fields: str = ""
    shard_id: int = 0
    shard_num: int = 1
    documents: int = 0
    empty: int = 0
    truncated: int = 0
    l2_norm: bool | None = None
    query_prefix: str = ""
    document_prefix: str = ""


class VectorWriter(ABC):
    """Writes the vectors of documents, a chunk at a time."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self.folder = folder
        self.dimension = dimension

    @abstractmethod
    def write(
        self,
        docids: Sequence[str],
        vectors: np.ndarray,
        contents: Sequence[str],
        raws: Sequence[str],
    ) -> None:
        """Write documents: their ids, `[n, dim] float32`, texts, and JSON to be stored."""

    @abstractmethod
    def close(self) -> None:
        """Finish the files."""


class JsonWriter(VectorWriter):
    """Lines that Pyserini (`id`) and Anserini (`docid`) read; nine digits keep a float32."""

    def __init__(self, folder: Path, dimension: int) -> None:
        super().__init__(folder, dimension)
        self._file = open(folder / "embeddings.jsonl", "w", encoding="utf-8")  # noqa: SIM115

    def write(
        self,
        docids: Sequence[str],
        vectors: np.ndarray,
        contents: Sequence[str],
        raws: Sequence[str],
    ) -> None:
        """Write a line a document."""
        for docid, vector, text, raw in zip(docids, vectors, contents, raws, strict=True):
            record = {"id": docid, "docid": docid, "contents": text, "raw": raw}
            numbers = ", ".join(map("{:.9g}".format, vector.tolist()))
            head = json.dumps(record, ensure_ascii=False)[:-1]
            self._file.write(f'{head}, "vector": [{numbers}]}}\n')

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class ParquetWriter(VectorWriter):
    """One file with the columns docid, vector (a list of float32), contents and raw."""

    def __init__(self, folder: Path, dimension: int) -> None:
        super().__init__(folder, dimension)
        arrow, parquet = import_parquet()
        self._arrow = arrow
        text = arrow.string()
        self._schema = arrow.schema(
            {"docid": text, "vector": arrow.list_(arrow.float32()), "contents": text, "raw": text}
        )
        self._file = parquet.ParquetWriter(folder / "embeddings.parquet", self._schema)

    def write(
        self,
        docids: Sequence[str],
        vectors: np.ndarray,
        contents: Sequence[str],
        raws: Sequence[str],
    ) -> None:
        """Write a row group."""
        flat = self._arrow.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        offsets = np.arange(len(docids) + 1, dtype=np.int32) * self.dimension
        lists = self._arrow.ListArray.from_arrays(self._arrow.array(offsets), flat)
        columns = [list(docids), lists, list(contents), list(raws)]
        self._file.write_table(self._arrow.table(columns, schema=self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class NpyWriter(VectorWriter):
    """`vectors.npy` `[n, dim] float32`, `docids.txt`, and the texts in `documents.jsonl`."""

    def __init__(self, folder: Path, dimension: int) -> None:
        super().__init__(folder, dimension)
        self._rows = 0
        self._vectors: IO[bytes] = open(folder / "vectors.npy", "wb")  # noqa: SIM115
        self._docids = open(folder / "docids.txt", "w", encoding="utf-8")  # noqa: SIM115
        self._documents = open(folder / "documents.jsonl", "w", encoding="utf-8")  # noqa: SIM115
        self._write_header()

    def _write_header(self) -> None:
        # Numpy leaves room for the number of rows to grow, so this can be written again.
        shape = (self._rows, self.dimension)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._vectors, header)

    def write(
        self,
        docids: Sequence[str],
        vectors: np.ndarray,
        contents: Sequence[str],
        raws: Sequence[str],
    ) -> None:
        """Append rows and lines."""
        self._rows += len(docids)
        self._vectors.write(np.ascontiguousarray(vectors, "<f4").tobytes())
        for docid, text, raw in zip(docids, contents, raws, strict=True):
            self._docids.write(docid + "\n")
            record = {"id": docid, "contents": text, "raw": raw}
            self._documents.write(json.dumps(record, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the files."""
        self._vectors.seek(0)
        self._write_header()
        for file in (self._vectors, self._docids, self._documents):
            file.close()


_WRITERS: dict[str, type[VectorWriter]] = {
    "jsonl": JsonWriter,
    "parquet": ParquetWriter,
    "npy": NpyWriter,
}


@contextmanager
def write_vectors(folder: str | Path, manifest: Manifest) -> Iterator[VectorWriter]:
    """Open a folder for vectors; it appears whole when the block ends, or not at all.

    `manifest` is written last, so its counts can be set meanwhile.

    Raises:
        OutputError: There is something at `folder`, or Parquet is wanted and pyarrow missing.
    """
    with atomic_folder(folder) as beside:
        writer = _WRITERS[manifest.format](beside, manifest.dimension)
        try:
            yield writer
        finally:
            writer.close()
        text = json.dumps(asdict(manifest), indent=1)  # in ASCII: paths need not be UTF-8
        (beside / MANIFEST).write_text(text + "\n", encoding="utf-8")


def import_parquet() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        OutputError: They are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError("Parquet files need pyarrow: pip install pyarrow.") from error
    return pyarrow, pyarrow.parquet
