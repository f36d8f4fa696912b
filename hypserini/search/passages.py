"""MaxP: a document counts as much as the best of its passages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypserini.formats.runs import Hit as AnyHit
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hit, Hits


@dataclass(frozen=True, slots=True)
class MaxPassage:
    """How passages become documents, with the defaults of `pyserini.search.lucene`.

    Attributes:
        hits: Documents to return.
        delimiter: What stands between a document's id and its passage's in a docid.
    """

    hits: int = 100
    delimiter: str = "#"

    def __post_init__(self) -> None:
        check_range(1, hits=self.hits)
        if not self.delimiter:
            raise ValueError("delimiter is empty and must be what stands before a passage's id")

    def __call__(self, ranking: Iterable[AnyHit]) -> Hits:
        """The documents of a ranking of passages, each with the score of its first passage."""
        best: dict[str, float] = {}
        for hit in ranking:
            best.setdefault(hit.docid.split(self.delimiter)[0], hit.score)
            if len(best) == self.hits:
                break
        return Hits(Hit(docid, score) for docid, score in best.items())
