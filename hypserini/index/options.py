"""How an index is built, and what a build of it takes and waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hypserini.index.metadata import IndexMetadata
from hypserini.index.progress import BuildProgress
from hypserini.index.resources import all_cores, check_disk, index_bytes, limit_memory
from hypserini.index.vector_formats import vector_format
from hypserini.index.writer import IndexWriter


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How an index is built; what is recorded in it is compared when a build is resumed.

    `fields` are joined to the text of a document (None: by the collection's format), `vectors` is
    the name of one of `VECTOR_FORMATS`, `threads` add documents and merge graphs in Java (None: all
    cores), `memory` is what the build may take, in bytes (None: Java half of the machine's),
    `commit_seconds` is what a kill can cost, `optimize` merges all segments, `similarity` is the
    graph's (None: what suits the first vectors).

    Raises:
        ValueError: There is no such format.
        IndexingError: The installed Lucene does not have the format.
    """

    fields: tuple[str, ...] | None = None
    vectors: str = "hnsw"
    m: int = 16
    ef_construction: int = 100
    max_length: int | None = None
    batch_size: int = 64
    threads: int | None = None
    memory: int | None = None
    commit_seconds: float = 60.0
    optimize: bool = False
    similarity: str | None = None

    def __post_init__(self) -> None:
        vector_format(self.vectors)  # before a model is loaded

    def like(self, metadata: IndexMetadata) -> IndexOptions:
        """The same, with what an index that is there says: it is gone on with, not made anew."""
        return replace(
            self,
            fields=tuple(metadata.fields.split(",")) if metadata.fields else None,
            vectors=metadata.vectors,
            max_length=metadata.max_length,
            similarity=metadata.similarity or None,
        )

    def writer(self, folder: Path, dimension: int, *, append: bool) -> IndexWriter:
        """The writer of an index in a folder, as these options say."""
        return IndexWriter(
            folder,
            dimension=dimension,
            vectors=self.vectors,
            m=self.m,
            ef_construction=self.ef_construction,
            append=append,
            threads=self.threads or all_cores(),
            similarity=self.similarity,
            ram_buffer_mb=limit_memory(self.memory),
        )

    def merge(self, writer: IndexWriter, bar: BuildProgress) -> None:
        """Wait for the merges that run, or with `optimize` merge all segments into one."""
        bar.phase("merging")
        if self.optimize:
            writer.optimize(bar.merging)
        else:
            writer.finish_merges(bar.merging)

    def check_room(
        self,
        writer: IndexWriter,
        documents: int,
        dimension: int,
        text_bytes: int = 0,
        *,
        guessed: bool,
    ) -> None:
        """Refuse a build that the disk or, at its end, Java's memory cannot hold.

        Args:
            writer: Of the index.
            documents: That are still to come.
            dimension: Of their vectors.
            text_bytes: Of their texts.
            guessed: That is a guess from a part of them.

        Raises:
            IndexingError: See `resources.check_disk` and `IndexWriter.check_optimize`.
        """
        needed = index_bytes(documents, dimension, self.vectors, self.m, text_bytes)
        check_disk(writer.path, needed, merged=self.optimize, is_estimate=guessed)
        if self.optimize and not guessed:
            writer.check_optimize(documents)
