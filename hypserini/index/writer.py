"""Writes documents, with text and vector, into one Lucene index, a block of them a call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from hypserini import jvm
from hypserini.errors import IndexingError, shown
from hypserini.index.vector_formats import vector_format
from hypserini.jvm.threads import waited_for

MOST_THREADS = 1024

BUFFER_MB = 256.0
"""Gathered before a segment is written; larger segments would be merged later, not less."""

MOST_TEXT = 1 << 26
"""Characters of texts that Java is given at once, but for those of a single document."""

POLL_MS = 500
"""How often it is looked whether merges have ended."""

LONGEST_DOCID = 32766
"""Bytes; Lucene's limit for a term."""


class DuplicateDocid(IndexingError):
    """A document id that was added twice; `docid` is the id."""

    def __init__(self, docid: str) -> None:
        super().__init__(
            f"the docid {docid} was added more than once: give every document an id of its own."
        )
        self.docid = docid

    def __reduce__(self) -> tuple[type[DuplicateDocid], tuple[str]]:
        return type(self), (self.docid,)  # so that it comes whole out of another process


class IndexWriter:
    """Writes a Lucene index with Anserini's fields: id, contents, raw and vector.

    What is on disk is always the last commit: a process that is killed loses what it added since.
    As a context manager it rolls back to the last commit when the block raises. Duplicate docids
    are found when they are added, or, if the first was committed before, at the next commit; no
    commit ever holds both. After a failed `add` or `commit` only `rollback` is possible.

    Args:
        path: The folder of the index; it is made if need be.
        dimension: Components of every vector.
        vectors: The name of one of `VECTOR_FORMATS`.
        m: Neighbours of a graph node.
        ef_construction: Candidates kept while a node's neighbours are looked for.
        append: Keep what is in the index; otherwise the first commit replaces it.
        threads: Documents added in parallel; above 1, their order in the index is not kept.
        similarity: `cosine`, `l2` or `inner_product`: what makes neighbours in the graph, and the
            score of Pyserini's own dense searchers. By default the existing index's, else what
            suits the first vectors: `l2` if they are all about equally long, else `cosine`, or for
            `hnsw-bbq` `inner_product`, since its graphs by angle do not hold together.
        ram_buffer_mb: Megabytes gathered before a segment is written.
        term_vectors: Store term vectors of the text, for relevance feedback.

    Raises:
        IndexingError: The folder cannot be written, another process writes to the index, it holds
            vectors of another dimension or similarity, or this Lucene does not have the format.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        dimension: int,
        vectors: str = "hnsw",
        m: int = 16,
        ef_construction: int = 100,
        append: bool = False,
        threads: int = 1,
        similarity: Literal["cosine", "l2", "inner_product"] | str | None = None,
        ram_buffer_mb: float | None = None,
        term_vectors: bool = False,
    ) -> None:
        vector_format(vectors)  # refused, if this Lucene does not have it
        if similarity not in (None, "cosine", "l2", "inner_product"):
            raise ValueError(
                f"similarity is {similarity!r} and must be 'cosine', 'l2' or 'inner_product'"
            )
        if dimension < 1 or not 1 <= threads <= MOST_THREADS:
            raise ValueError(
                f"dimension ({dimension}) and threads ({threads}) must be at least 1, and threads"
                f" at most {MOST_THREADS}"
            )
        self.path = Path(path)
        self.dimension = dimension
        if not (1 <= m <= 512 and 1 <= ef_construction <= 3200):
            raise ValueError(
                f"m ({m}) must be from 1 to 512 and ef_construction ({ef_construction}) to 3200"
            )
        # Java first: where it does not start, no folder is left behind.
        java_writer = jvm.java_class("io.hypserini.DocumentWriter")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexingError(
                f"cannot write an index to {path} ({error.strerror}): choose another folder."
            ) from error
        with self._errors(f"cannot write to the index {path}"):
            self._java = java_writer(
                jvm.pack_path(self.path),
                append,
                dimension,
                similarity,
                vectors,
                m,
                ef_construction,
                ram_buffer_mb or BUFFER_MB,
                threads,
                term_vectors,
            )
        self._rows: int = self._java.rows()
        self._shared = jvm.shared_array(
            self._java.vectors(), (self._rows, dimension), np.dtype("=f4")
        )
        self._open = True

    @property
    def similarity(self) -> str:
        """What makes neighbours in the graph; empty if that is not known before the first add."""
        return str(self._java.similarity() or "")

    @property
    def num_docs(self) -> int:
        """Live documents, those not yet committed included."""
        return int(self._java.numDocs())

    @property
    def committed_metadata(self) -> dict[str, str]:
        """The metadata of the last commit; empty before the first."""
        return jvm.unpack_pairs(self._java.committedMetadata().tostring())

    def add(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        contents: Sequence[str] | None = None,
        raws: Sequence[str] | None = None,
    ) -> None:
        """Add documents.

        Args:
            ids: Their docids, all different.
            vectors: `[n, dimension] float32`.
            contents: Their texts, to be searched with BM25; None: no text.
            raws: What to store of them, usually their JSON; None: nothing.

        Raises:
            DuplicateDocid: A docid occurs twice since the last commit.
            IndexingError: A vector with a component that is not finite, or a docid that Lucene
                cannot hold; nothing of its block of up to 4,096 documents is added.
        """
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.shape != (len(ids), self.dimension):
            raise ValueError(
                f"vectors have the shape {list(vectors.shape)} and not [{len(ids)},"
                f" {self.dimension}]"
            )
        for name, texts in (("contents", contents), ("raws", raws)):
            if texts is not None and len(texts) != len(ids):
                raise ValueError(f"{len(ids)} ids but {len(texts)} {name}")
        _check_docids(ids)
        for block in _blocks(len(ids), self._rows, contents, raws):
            start = block.start
            np.copyto(self._shared[: block.stop - start], vectors[block])
            names = jvm.pack(ids[block])
            written = None if contents is None else jvm.pack(contents[block])
            stored = None if raws is None else jvm.pack(raws[block])
            with self._errors("cannot add documents"):
                self._java.add(names, written, stored)

    def delete(self, docids: Sequence[str], *, for_good: bool = False) -> None:
        """Delete documents, committed or not; ids that do not exist are ignored.

        Args:
            docids: Their ids.
            for_good: None of them is given to `add` before the next commit, so that none need be
                remembered until then.
        """
        names = jvm.pack(docids)
        with self._errors("cannot delete documents"):
            self._java.delete(names, for_good)

    def delete_matching(self, query: str) -> None:
        """Delete the committed documents that match a query in Lucene's syntax.

        Raises:
            IndexingError: It cannot be parsed.
        """
        packed = jvm.pack([query])
        with self._errors(f"cannot delete what matches {shown(query)}"):
            self._java.deleteMatching(packed)

    def add_indexes(self, folders: Sequence[Path]) -> None:
        """Take in the documents of other indexes as they are, vectors and graphs included.

        That no docid occurs twice is for the caller to see to.
        """
        packed = jvm.pack_paths(folders)
        with self._errors(f"cannot take in {', '.join(map(str, folders))}"):
            self._java.addIndexes(packed)

    def reclaim(self, waiting: Callable[[int], object] | None = None) -> None:
        """Merge deleted documents away; durable after the next `commit`.

        Args:
            waiting: See `finish_merges`.
        """
        with self._errors(f"cannot merge the segments of {self.path}"):
            self._java.reclaim()
        self.finish_merges(waiting)

    def commit(self, metadata: Mapping[str, str] | None = None) -> None:
        """Make everything added durable, together with `metadata`, which replaces the last one's.

        Raises:
            DuplicateDocid: A docid was added that had been committed before.
            IndexingError: An earlier `add` or `commit` failed, or the disk is full.
        """
        pairs = jvm.pack([text for pair in (metadata or {}).items() for text in pair])
        with self._errors(f"cannot commit to the index {self.path}"):
            self._java.commit(pairs)

    def optimize(self, waiting: Callable[[int], object] | None = None) -> None:
        """Merge all segments into one; durable after the next `commit` or `close`.

        Args:
            waiting: See `finish_merges`.
        """
        with self._errors(f"cannot merge the segments of {self.path}"):
            self._java.optimize()
        self.finish_merges(waiting)

    def check_optimize(self, further: int) -> None:
        """Refuse what `optimize` would, where so many documents are added before.

        Raises:
            IndexingError: Java's memory has no room for the graph of all documents.
        """
        with self._errors(f"cannot merge the segments of {self.path} into one"):
            self._java.checkOptimize(further)

    def finish_merges(self, waiting: Callable[[int], object] | None = None) -> None:
        """Give graphs to the segments that have none, and wait for all merges in the background.

        Durable after the next `commit` or `close`; this does the same for what is committed.

        Args:
            waiting: Called every half second with the number of documents that are being merged.

        Raises:
            IndexingError: A merge failed, on a full disk say.
        """
        with self._errors(f"cannot merge the segments of {self.path}"):
            self._java.completeGraphs()
            while not self._java.awaitMerges(POLL_MS):
                documents = int(self._java.mergingDocuments())
                if waiting is not None:
                    waiting(documents)

    def rollback(self) -> None:
        """Close, forgetting what was added since the last commit."""
        self._close(lambda: self._java.rollback())

    def close(self) -> None:
        """Close, committing what was added since the last commit under the metadata of that one."""
        if self._open and self._java.isChanged():
            try:
                self.commit(self.committed_metadata)
            except BaseException:
                self.rollback()
                raise
        self._close(lambda: self._java.close())

    def _close(self, how: Any) -> None:
        if self._open:
            self._open = False
            # While Lucene builds a graph, it cannot be told to stop.
            with self._errors(f"cannot close the index {self.path}"):
                waited_for(how, f"the merge that runs in {self.path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.rollback()

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        jvm.start()
        from jnius import JavaException

        try:
            yield
        except JavaException as error:
            if error.classname == "io.hypserini.DuplicateDocid":
                raise DuplicateDocid(str(error.innermessage)) from None
            raise IndexingError(f"{action}: {_why_not(error)}") from error


def _blocks(
    count: int, rows: int, contents: Sequence[str] | None, raws: Sequence[str] | None
) -> Iterator[slice]:
    """Blocks of so many documents, of some rows and not too much text."""
    start = 0
    while start < count:
        end, size = start, 0
        while end < min(count, start + rows) and (end == start or size < MOST_TEXT):
            size += len(contents[end]) if contents is not None else 0
            size += len(raws[end]) if raws is not None else 0
            end += 1
        yield slice(start, end)
        start = end


def _why_not(error: Any) -> str:
    """What Java says, and what to do about a disk that takes no more."""
    said = jvm.reason(error)
    message = str(error.innermessage)
    if any(what in message for what in ("No space left", "quota", "File too large", "Read-only")):
        mend = "make room or give access there, and go on from the last commit (--resume)."
        return f"{said[:-1]}: {mend}"
    return said


def _check_docids(ids: Sequence[str]) -> None:
    for docid in ids:
        if not docid:
            raise IndexingError("a document has an empty docid: give every document an id.")
        if not docid.isascii():
            try:
                size = len(docid.encode("utf-8"))
            except UnicodeEncodeError:
                raise IndexingError(
                    f"the docid {docid!r} is not valid Unicode: give the document another id."
                ) from None
        else:
            size = len(docid)
        if size > LONGEST_DOCID:
            raise IndexingError(
                f"the docid {docid[:40]}... has {size:,} bytes and Lucene takes {LONGEST_DOCID:,}:"
                " give the document a shorter id."
            )
