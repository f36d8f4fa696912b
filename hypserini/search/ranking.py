"""What a search returns: the hits of one query, and what it cost to find them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hypserini.search.rendering import table_html

ROUNDING = 5e-5
"""How far apart the float32 scores of one document for one query may lie, as a share of the size of
the ranking's scores. On a CPU a q-net with hidden blocks scores a document alike in every search;
but a query that is encoded alone and one that is encoded in a batch differ by so much, and so do
scores of a GPU and a CPU, and dot products (q-nets without hidden blocks) alone and in a batch.
Measured: 5e-7 with the bundled model, 2e-5 with random ones.
"""

ROWS = 100
"""Hits that a notebook draws of a ranking; the others are counted."""

LETTERS = 200
"""Letters that it draws of a document's text."""


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

    def with_texts(self, contents: Callable[[str], str | None]) -> HitsTable:
        """The ranking as a table with texts, for a notebook: `hits.with_texts(searcher.contents)`.

        Args:
            contents: Gives the text of a docid, or None.
        """
        return HitsTable(self, contents)

    def _repr_html_(self) -> str:
        return HitsTable(self)._repr_html_()


@dataclass(frozen=True)
class HitsTable:
    """A ranking as a table, printed or drawn in a notebook.

    Attributes:
        hits: The ranking.
        contents: Gives the text of a docid, or None; without it, there are no texts.
    """

    hits: Hits
    contents: Callable[[str], str | None] | None = None

    def _repr_html_(self) -> str:
        head = ["", "docid", "score", *([] if self.contents is None else ["text"])]
        return table_html(head, self._rows(), self._caption())

    def __repr__(self) -> str:
        return "\n".join([*map("\t".join, self._rows()), self._caption()])

    def _rows(self) -> Iterator[list[str]]:
        for rank, hit in enumerate(self.hits[:ROWS], start=1):
            text = [] if self.contents is None else [_shortened(self.contents(hit.docid) or "")]
            yield [str(rank), hit.docid, f"{hit.score:.4f}", *text]

    def _caption(self) -> str:
        cost = self.hits.cost
        told = [f"{len(self.hits):,} hits"]
        if len(self.hits) > ROWS:
            told.append(f"{ROWS} of them shown")
        if cost.mode:
            told.append(f"{cost.mode}: {cost.evaluations:,} scored in {cost.total_ms:,.1f} ms")
        return ", ".join(told)


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
