"""Candidates over a resident field: they hand out rows where they lie, and keep the best there.

They have the methods of `search.candidates.Candidates`, so that the same loops drive both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling.scoring import TILE
from hypserini.search.filters import Filter
from hypserini.search.resident.best import BestRows, places_of, scores_of
from hypserini.search.resident.field import Part, ResidentField, filled_up

NOWHERE = -1


class ResidentCandidates:
    """Hands out rows of a field, block by block; the base of every kind of search over one.

    Args:
        field: The field.
        queries: Queries scored together.
        k: Documents kept of each.

    Attributes:
        vectors: `[block, dim]`, those handed out, and some more up to a multiple of `TILE`.
        scores: `[queries, block] float32`, to be filled by the caller; on the device of `vectors`.
        evaluations: How many documents were scored so far, a query.
    """

    vectors: Tensor
    scores: Tensor

    def __init__(self, field: ResidentField, queries: int, k: int) -> None:
        self.field = field
        self.evaluations = 0
        self._k = max(1, min(k, len(field)))
        self._queries = queries
        self._first_query = 0
        self._places = torch.empty(0, dtype=torch.int32)
        self._best: dict[torch.device, BestRows] = {}

    def next(self) -> int:
        """Hand out the next rows; returns how many, 0 when there are no more."""
        raise NotImplementedError

    def _hand(self, vectors: Tensor, places: Tensor) -> int:
        """Let these be the rows handed out: `vectors` may have more than `places` tells of."""
        self.vectors, self._places = vectors, places
        self.scores = torch.empty(self._queries, len(vectors), device=vectors.device)
        return len(places)

    def _gather(self, rows: Tensor) -> int:
        """Hand out rows from all over the field."""
        places = self.field.places[rows].to(self.field.device)
        return self._hand(self.field.gather(filled_up(rows)), places)

    def accept(self, n: int) -> None:
        """Take the scores of the first `n` rows handed out."""
        device = self.scores.device
        best = self._best.get(device)
        if best is None:
            best = self._best[device] = BestRows(self._queries, self._k, device)
        best.offer(self.scores[:, :n], self._places[:n])
        self.evaluations += n

    def best_keys(self, query: int) -> Tensor:
        """The best rows of a query as keys of `best`, the best first, on the CPU."""
        if not self._best:
            return torch.empty(0, dtype=torch.long)
        keys = torch.cat([best.keys[query].cpu() for best in self._best.values()])
        return keys.topk(min(self._k, len(keys))).values

    def hits(self, query: int) -> tuple[list[str], np.ndarray]:
        """Rank the documents of a query, ties by docid: docids, and their scores `[n] float32`.

        Raises:
            ModelError: A score is not a number; names the query's position and the docid.
        """
        keys = self.best_keys(query)
        scores = scores_of(keys)
        docids = self.field.docids(self.field.rows_at(places_of(keys)))
        if bool(scores.isnan().any()):
            docid = docids[int(scores.isnan().int().argmax())]
            raise ModelError(
                f"the score of document {docid} for query number {self._first_query + query + 1} of"
                " the batch is not a number: check the model's weights and the index's vectors."
            )
        return docids, scores.numpy()

    def close(self) -> None:
        """Forget what was found."""
        self._best.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class ResidentScan(ResidentCandidates):
    """Hands out every row that a filter lets through once, device by device in turn.

    Arguments as of `Scan`, with a field for the index.
    """

    def __init__(
        self,
        field: ResidentField,
        queries: int,
        k: int,
        block: int,
        filter: Filter | None = None,
    ) -> None:
        super().__init__(field, queries, k)
        block = -(-block // TILE) * TILE
        self._blocks = (
            self._all(block)
            if filter is None
            else self._some(torch.nonzero(field.accepted(filter))[:, 0], block)
        )

    def next(self) -> int:
        """As in `ResidentCandidates`."""
        return next(self._blocks, 0)

    def _all(self, block: int) -> Iterator[int]:
        # One block of each device in turn, so that all of them are busy.
        starts = range(0, max(part.rows for part in self.field.parts), block)
        for start in starts:
            for part in self.field.parts:
                if start < part.rows:
                    yield self._block(part, start, block)

    def _block(self, part: Part, start: int, block: int) -> int:
        return self._hand(part.vectors[start : start + block], part.places[start : start + block])

    def _some(self, rows: Tensor, block: int) -> Iterator[int]:
        for some in rows.split(block):
            if len(some):
                yield self._gather(some)


class ResidentRows(ResidentCandidates):
    """Hands out given documents, each once: reranking. As `DocList`, with a field for the index.

    Attributes:
        missing: Positions of the docids that no document with a vector has, ascending.
    """

    def __init__(
        self,
        field: ResidentField,
        queries: int,
        k: int,
        block: int,
        docids: Sequence[str],
        filter: Filter | None = None,
    ) -> None:
        super().__init__(field, queries, k)
        rows = field.rows_of(docids)
        self.missing: list[int] = torch.nonzero(rows == NOWHERE)[:, 0].tolist()
        rows = rows[rows != NOWHERE].sort().values
        if filter is not None:
            rows = rows[field.accepted(filter)[rows]]
        self._blocks = iter(rows.split(-(-block // TILE) * TILE) if len(rows) else ())

    def next(self) -> int:
        """As in `ResidentCandidates`."""
        rows = next(self._blocks, None)
        return 0 if rows is None else self._gather(rows)
