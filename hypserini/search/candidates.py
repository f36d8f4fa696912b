"""What is scored: Java hands out blocks of document vectors and keeps the best documents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from hypserini import jvm
from hypserini.errors import ModelError
from hypserini.index.reader import Index
from hypserini.search.filters import Filter, java_of

if TYPE_CHECKING:
    from hypserini.search.graph import GraphOptions

BLOCK = 1024


class Candidates:
    """Documents to score for a batch of queries, block by block; the base of every kind of search.

    `next` fills `vectors` and `ordinals` with the next documents; the caller fills `scores` and
    calls `accept`; when `next` returns 0, `hits` ranks the best. All three are views of memory
    shared with Java, valid until `close`. Not thread safe, but an index may have any number.

    Attributes:
        vectors: `[block, dim] float32`, the vectors of the documents handed out.
        ordinals: `[block] int32`, their numbers in the index, for a scorer that has the vectors.
        scores: `[queries, block] float32`, to be filled by the caller.
    """

    def __init__(self, java: Any, index: Index, queries: int, block: int) -> None:
        self._java = java
        self._open = True
        self._queries = queries
        self._first_query = 0
        self.vectors = self._tensor(java.vectors(), (block, index.dimension))
        self.ordinals = jvm.shared_array(java.docs(), (block,), np.dtype("=i4"))
        self.scores = self._tensor(java.scores(), (queries, block))

    @staticmethod
    def _tensor(buffer: Any, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(jvm.shared_array(buffer, shape, np.dtype("=f4")))

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
        return jvm.unpack(self._java.hits(query)), self._hit_scores()

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


class Scan(Candidates):
    """Hands out every live vector of an index once: exhaustive search, exact.

    Args:
        index: An opened index.
        queries: Queries scored together.
        k: Documents kept of each; more than there are keeps all of them.
        block: Documents handed out at once.
        filter: Leaves out all other documents; None: all are scored.
    """

    def __init__(
        self,
        index: Index,
        queries: int,
        k: int,
        block: int = BLOCK,
        filter: Filter | None = None,
    ) -> None:
        if min(queries, k, block) < 1:
            raise ValueError(f"queries ({queries}), k ({k}) and block ({block}) must be at least 1")
        scan = jvm.java_class("io.hypserini.Scan")
        super().__init__(
            scan(index.java, queries, k, block, java_of(filter)), index, queries, block
        )


class DocList(Candidates):
    """Hands out the vectors of given documents, each once: reranking.

    They come in the order of the index; if all of its documents are given, in the blocks of `Scan`.

    Args:
        index: An opened index.
        queries: Queries that all documents are scored for.
        k: Documents kept of each query.
        block: Documents handed out at once.
        docids: The documents' ids, all different.
        filter: Leaves out all other documents; they do not count as missing.

    Attributes:
        missing: Positions of the docids that no document with a vector has, ascending.
    """

    def __init__(
        self,
        index: Index,
        queries: int,
        k: int,
        block: int,
        docids: Sequence[str],
        filter: Filter | None = None,
    ) -> None:
        if min(queries, k, block) < 1:
            raise ValueError(f"queries ({queries}), k ({k}) and block ({block}) must be at least 1")
        doc_list = jvm.java_class("io.hypserini.DocList")
        java = doc_list(index.java, queries, k, block, jvm.pack(docids), java_of(filter))
        super().__init__(java, index, queries, block)
        self._docids = docids
        self.missing: list[int] = list(java.missing())

    def hits(self, query: int) -> tuple[list[str], np.ndarray]:
        """As in `Candidates`; the docids are those given, none is looked up."""
        docids = [self._docids[position] for position in self._java.hitPositions(query)]
        return docids, self._hit_scores()


class Nearest(Candidates):
    """Hands out, each time, the unseen documents nearest to a direction: tangent search, one query.

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out at once, at most.
        filter: Leaves out all other documents.
        position: The query's place in its batch, for errors.
        few: How many of the best documents `best_vectors` gives, at most.

    Attributes:
        direction: `[dim] float32`, to be filled before `fetch`.
    """

    def __init__(
        self,
        index: Index,
        k: int,
        block: int,
        filter: Filter | None = None,
        position: int = 0,
        few: int = 16,
    ) -> None:
        if min(k, block) < 1:
            raise ValueError(f"k ({k}) and block ({block}) must be at least 1")
        nearest = jvm.java_class("io.hypserini.Nearest")
        super().__init__(nearest(index.java, k, block, few, java_of(filter)), index, 1, block)
        self._first_query = position
        self.direction = self._tensor(self._java.direction(), (index.dimension,))
        self._best = self._tensor(self._java.best(), (few, index.dimension))

    def fetch(self, count: int, ef: int, by_angle: bool = False) -> int:
        """Hand out the up to `count` unseen documents with the largest inner products.

        Args:
            count: How many, at most a block.
            ef: Documents that the vector search keeps while it looks for them.
            by_angle: Rank by the cosine with the direction.

        Returns:
            How many there are; 0 when every document was handed out.
        """
        self._java.fetch(count, ef, by_angle)
        return self.next()

    def entered(self) -> int:
        """How many of the documents accepted last are among the best k now."""
        return int(self._java.entered(0))

    def best_vectors(self) -> torch.Tensor:
        """The vectors of the best few documents, `[n, dim] float32`, valid until it is asked."""
        return self._best[: self._java.writeBest()]


class GraphWalk(Candidates):
    """Hands out what a walk over the graph meets, round by round, for one query.

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out at once, at most.
        options: How to walk; all of its numbers but `max_scored` are given.
        filter: Leaves out all other documents.
        position: The query's place in its batch, for errors.

    Attributes:
        direction: `[dim] float32`, to be filled before `enter_nearest`.
    """

    def __init__(
        self,
        index: Index,
        k: int,
        block: int,
        options: GraphOptions,
        filter: Filter | None = None,
        position: int = 0,
    ) -> None:
        walk = jvm.java_class("io.hypserini.GraphWalk")(
            *(index.java, k, block, java_of(filter)),
            *(options.ncandidates, options.max_iter),
            options.patience if options.early_stop else 0,
            sys.maxsize if options.max_scored is None else options.max_scored,
            options.frontier == "new",
        )
        super().__init__(walk, index, 1, block)
        self._first_query = position
        self.direction = self._tensor(self._java.direction(), (index.dimension,))

    @property
    def entries(self) -> int:
        """How many documents the walk enters at."""
        return int(self._java.entries())

    def enter_random(self, count: int, seed: int) -> None:
        """Enter at `count` documents drawn by chance."""
        self._java.enterRandom(count, seed)

    def enter_layer(self, most: int) -> None:
        """Enter at all nodes of the lowest layer that has at most so many."""
        self._java.enterLayer(most)

    def enter_text(self, text: str, count: int, filter: Filter | None) -> None:
        """Enter at the `count` best documents for a text by BM25."""
        query, within = jvm.pack([text]), java_of(filter)
        self._java.enterText(query, count, within)

    def enter_nearest(self, count: int, ef: int, by_angle: bool = False) -> None:
        """Enter at the `count` documents nearest to `direction`."""
        self._java.enterNearest(count, ef, by_angle)


class Adaptive(Candidates):
    """Hands out the next of a ranking and graph neighbours of the best so far, in turn (GAR).

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out in a turn.
        docids: The ranking, best first, all different.
        budget: Documents handed out in all, at most.
        filter: Leaves out all other documents.

    Attributes:
        missing: Positions of the docids that no document with a vector has, ascending.
        has_graph: Whether there are neighbours.
    """

    def __init__(
        self,
        index: Index,
        k: int,
        block: int,
        docids: Sequence[str],
        budget: int,
        filter: Filter | None = None,
    ) -> None:
        if min(k, block, budget) < 1:
            raise ValueError(f"k ({k}), block ({block}) and budget ({budget}) must be at least 1")
        adaptive = jvm.java_class("io.hypserini.Adaptive")
        packed = jvm.pack(docids)
        java = adaptive(index.java, k, block, packed, java_of(filter), block, budget)
        super().__init__(java, index, 1, block)
        self.missing: list[int] = list(java.missing())
        self.has_graph = bool(java.hasGraph())

    def unscored(self) -> list[int]:
        """Positions of the documents that the budget left unscored, ascending."""
        return list(self._java.unscored())
