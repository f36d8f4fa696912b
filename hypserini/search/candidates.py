"""What is scored: Java hands out blocks of document vectors and keeps the best documents."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from hypserini import jvm
from hypserini.errors import ModelError
from hypserini.index.reader import Index


class Candidates:
    """Documents to score for a batch of queries, block by block; the base of every kind of search.

    `next` fills `vectors` and `ordinals` with the next documents; the caller fills `scores` and
    calls `accept`; when `next` returns 0, `hits` ranks the best. All three are views of memory
    shared with Java, valid until `close`. Not thread safe, but an index may have any number.

    Args:
        kind: The Java class.
        index: An opened index.
        queries: Queries scored together.
        block: Documents handed out at once, at most.
        arguments: What the class's `open` takes beside the index; numbers beyond Java's
            largest are as good as that. If it fails, it holds nothing of the index.

    Attributes:
        vectors: `[block, dim] float32`, the vectors of the documents handed out.
        ordinals: `[block] int32`, their numbers in the index, for a scorer that has the vectors.
        scores: `[queries, block] float32`, to be filled by the caller.
    """

    def __init__(self, kind: str, index: Index, queries: int, block: int, *arguments: Any) -> None:
        java_class = jvm.java_class(f"io.hypserini.{kind}")
        given = [min(one, jvm.LARGEST) if isinstance(one, int) else one for one in arguments]
        java = java_class.open(index.java, *given)
        self._java = java
        self._open = True
        self._queries = queries
        self._first_query = 0
        try:
            self.vectors = self._tensor(java.vectors(), (block, index.dimension))
            self.ordinals = jvm.shared_array(java.docs(), (block,), np.dtype("=i4"))
            self.scores = self._tensor(java.scores(), (queries, block))
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _tensor(buffer: Any, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(jvm.shared_array(buffer, shape, np.dtype("=f4")))

    def leave_vectors(self) -> None:
        """Hand out documents' numbers alone from now on: `vectors` stays as it is."""
        self._java.leaveVectors()

    def next(self) -> int:
        """Hand out the next documents; returns how many, 0 when there are no more."""
        return self._java.next()

    def accept(self, n: int, scores: torch.Tensor | None = None) -> None:
        """Take the scores of the first `n` documents handed out.

        Args:
            n: How many were scored.
            scores: `[queries, n]`; None if they were written to `self.scores[:, :n]`.

        Raises:
            ModelError: A score is not a number; names the query's position and the docid.
        """
        if scores is not None:
            self.scores[:, :n] = scores
        from jnius import JavaException

        try:
            self._java.accept(n)
        except JavaException as error:
            if error.classname != "io.hypserini.NotANumber":
                raise
            query, _, docid = str(error.innermessage).partition(" ")
            number = self._first_query + int(query) + 1
            raise ModelError(
                f"the score of document {docid} for query number {number} of the batch is"
                " not a number: check the model's weights and the index's vectors."
            ) from None

    def hits(self, query: int) -> tuple[list[str], np.ndarray]:
        """Rank the documents of a query, ties by docid: docids, and their scores `[n] float32`."""
        return jvm.unpack(self._java.hits(query).tostring()), self._hit_scores()

    def _hit_scores(self) -> np.ndarray:
        """The scores of the documents ranked last."""
        return np.frombuffer(self._java.hitScores().tostring(), "<f4").astype(np.float32)

    @property
    def evaluations(self) -> int:
        """How many documents were scored so far, a query."""
        return int(self._java.evaluations())

    def close(self) -> None:
        """Give the shared memory back; the views must not be used any more."""
        if self._open:
            self._open = False
            self._java.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
