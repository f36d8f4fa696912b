"""What a search returns: the hits of one query, and what it cost to find them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDING = 5e-5
"""How far apart the float32 scores of one document for one query may lie, as a share of the size of
the ranking's scores. On a CPU a q-net with hidden blocks scores a document alike in every search;
but a query that is encoded alone and one that is encoded in a batch differ by so much, and so do
scores of a GPU and a CPU, and dot products (q-nets without hidden blocks) alone and in a batch.
Measured: 5e-7 with the bundled model, 2e-5 with random ones.
"""


def rounding(scores: Iterable[float]) -> float:
    """How far apart scores may lie that differ by rounding alone, given all of a ranking."""
    return ROUNDING * max(1.0, *map(abs, scores), 0.0)


@dataclass(slots=True)
class Hit:
    """One document of a ranking; the attributes that Pyserini's writers and fusions use."""

    docid: str
    score: float


@dataclass(slots=True)
class Cost:
    """What one query cost; the milliseconds of a batch are shared out equally.

    Attributes:
        evaluations: Documents that the q-net scored.
        rounds: Blocks of documents handed out and scored.
        encode_ms: Milliseconds of encoding the query; 0 when its q-net was given.
        fetch_ms: Milliseconds of finding candidates, reading vectors and keeping the best.
        score_ms: Milliseconds of the q-net: scores and gradients.
        mode: How it was searched: `exhaustive`, `tangent`, `graph`...
    """

    evaluations: int = 0
    rounds: int = 0
    encode_ms: float = 0.0
    fetch_ms: float = 0.0
    score_ms: float = 0.0
    mode: str = ""

    @property
    def total_ms(self) -> float:
        """All milliseconds together."""
        return self.encode_ms + self.fetch_ms + self.score_ms


class Hits(list[Hit]):
    """The documents of one query, best first, ties by docid; a list that knows its cost."""

    def __init__(self, hits: Iterable[Hit] = (), cost: Cost | None = None) -> None:
        super().__init__(hits)
        self.cost = cost or Cost()

    @classmethod
    def of(cls, ranked: tuple[list[str], np.ndarray[Any, Any]], cost: Cost | None = None) -> Hits:
        """Of docids and scores, as `Candidates.hits` gives them."""
        docids, scores = ranked
        return cls(map(Hit, docids, scores.tolist()), cost)
