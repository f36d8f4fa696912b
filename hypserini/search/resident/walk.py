"""Walks over the graph whose vectors lie on a device: documents' numbers go there, scores back."""

from __future__ import annotations

import torch
from torch import Tensor

from hypserini.search.candidates import Candidates
from hypserini.search.resident.field import ResidentField, filled_up


class ResidentWalk:
    """Hands out, from a field, the rows that candidates of Java's choose; none of it is copied.

    The graph stays with Lucene, which decides what comes next: whatever the walk (the paper's,
    adaptive reranking), over whatever segments, filters and deletions, is the same as without a
    field. What crosses the border are a number and a score a document.

    Args:
        candidates: For one query. They read no vectors from now on.
        field: Where the vectors are.

    Attributes:
        vectors: `[n or a little more, dim]`, those handed out, up to a multiple of `TILE`.
        scores: `[1, as many] float32`, to be filled by the caller.
    """

    vectors: Tensor
    scores: Tensor

    def __init__(self, candidates: Candidates, field: ResidentField) -> None:
        self._candidates = candidates
        self._field = field
        candidates.leave_vectors()

    def next(self) -> int:
        """Hand out the next documents; returns how many, 0 when there are no more."""
        n = self._candidates.next()
        if n:
            rows = self._field.rows_of_docs(self._candidates.ordinals[:n])
            self.vectors = self._field.gather(filled_up(rows))
            self.scores = torch.empty(1, len(self.vectors), device=self.vectors.device)
        return n

    def accept(self, n: int) -> None:
        """Take the scores of the first `n` documents handed out."""
        self._candidates.scores[:, :n] = self.scores[:, :n]
        self._candidates.accept(n)


def over(candidates: Candidates, field: ResidentField | None) -> Candidates | ResidentWalk:
    """The candidates, with their vectors from a field if there is one."""
    return candidates if field is None else ResidentWalk(candidates, field)
