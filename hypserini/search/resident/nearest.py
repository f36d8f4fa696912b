"""The rows of a resident field that are nearest to directions, for a batch of queries at once."""

from __future__ import annotations

import torch
from torch import Tensor

from hypserini.modeling.scoring import TILE
from hypserini.search.filters import Filter
from hypserini.search.resident.best import BestRows
from hypserini.search.resident.candidates import ResidentCandidates
from hypserini.search.resident.field import Part, ResidentField, filled_up
from hypserini.search.resident.products import products

PRODUCTS_BYTES = 1 << 29
"""Of the products of all queries with the rows that are looked at together."""


class ResidentNearest(ResidentCandidates):
    """Hands out, for each query, the unseen rows nearest to its direction, exactly.

    The queries go on together, as many rows of each a round; `keep` ends some of them.

    Args:
        field: The field.
        queries: Queries that are searched together.
        k: Documents kept of each.
        filter: Leaves out all other documents.
        position: The first query's place in its batch, for errors.

    Attributes:
        vectors: `[active, n or a little more, dim]`, those handed out last.
        scores: `[active, as many]`, to be set by the caller.
    """

    def __init__(
        self,
        field: ResidentField,
        queries: int,
        k: int,
        filter: Filter | None = None,
        position: int = 0,
    ) -> None:
        super().__init__(field, queries, k)
        self._first_query = position
        self._accepted = None if filter is None else field.accepted(filter)
        self._active = list(range(queries))
        self._top = BestRows(queries, self._k, field.device)
        self._ended: dict[int, Tensor] = {}
        self._seen = torch.empty(queries, 0, dtype=torch.long, device=field.device)

    def fetch(self, directions: Tensor, by_angle: Tensor, count: int) -> int:
        """Hand out the up to `count` unseen rows with the largest products of each active query.

        Args:
            directions: `[active, dim] float32`.
            by_angle: `[active] bool`: rank by the angle with the direction.
            count: How many, at most.

        Returns:
            How many there are, which is the same for all; 0 when every row was handed out.
        """
        most = min(count, len(self.field))
        found = BestRows(len(directions), most, self.field.device)
        rows = max(TILE, PRODUCTS_BYTES // (4 * max(1, len(directions))))
        for part in self.field.parts:
            there = directions.to(part.device), by_angle.to(part.device)
            for start in range(0, part.rows, rows):
                end = min(start + rows, part.rows)
                scores = products(part.vectors[start:end], *there, part.lengths[start:end])
                scores = self._open(scores, part, start)
                best, at = scores.topk(min(most, end - start), dim=1)
                places = part.places[at + start]
                found.offer(best.to(self.field.device), places.to(self.field.device))
        n = int((found.scores > -torch.inf).sum(dim=1).min()) if len(directions) else 0
        self._places = found.places[:, :n]
        nearest = self.field.rows_at(self._places)
        self._rows = nearest.to(self.field.device)
        if n:
            vectors = self.field.gather(filled_up(nearest).flatten())
            self.vectors = vectors.view(len(directions), -1, self.field.index.dimension)
        return n

    def _open(self, scores: Tensor, part: Part, start: int) -> Tensor:
        """The scores of rows from `start` of a part, without those that may not be handed out."""
        count = scores.shape[1]
        first = part.first + start
        if self._accepted is not None:
            accepted = self._accepted[first : first + count].to(scores.device)
            scores = scores.masked_fill_(~accepted, -torch.inf)
        if not self._seen.shape[1]:
            return scores
        at = self._seen.to(scores.device) - first
        elsewhere = (at < 0) | (at >= count)
        hidden = torch.zeros(len(scores), count + 1, dtype=torch.bool, device=scores.device)
        hidden.scatter_(1, at.masked_fill(elsewhere, count), True)
        return scores.masked_fill_(hidden[:, :count], -torch.inf)

    def accept(self, n: int) -> None:
        """Take the scores of the first `n` rows handed out of each active query."""
        self._top.offer(self.scores[:, :n].to(self.field.device), self._places[:, :n])
        self._seen = torch.cat([self._seen, self._rows[:, :n]], dim=1)
        self.evaluations += n

    def entered(self) -> Tensor:
        """How many of the rows accepted last are among the best k now, `[active]` on the CPU."""
        n = self._places.shape[1]
        worst = self._top.worst()
        return (self.scores[:, :n].to(worst.device) >= worst).sum(dim=1).cpu()

    def keep(self, going: Tensor) -> None:
        """End the queries that are not `going`, `[active] bool`, on the CPU."""
        for place in torch.nonzero(~going)[:, 0].tolist():
            self._end(place)
        self._active = [self._active[i] for i in torch.nonzero(going)[:, 0].tolist()]
        going = going.to(self.field.device)
        self._top.keys = self._top.keys[going]
        self._seen = self._seen[going]

    def _end(self, place: int) -> None:
        self._ended[self._active[place]] = self._top.keys[place].cpu()

    def best_keys(self, query: int) -> Tensor:
        """As in `ResidentCandidates`."""
        if query in self._active:
            self._end(self._active.index(query))
        return self._ended[query]
