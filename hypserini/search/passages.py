"""MaxP: a document counts as much as the best of its passages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypserini.formats.runs import Hit as AnyHit
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hit, Hits


@dataclass(slots=True)
class DocumentHit(Hit):
    """A document, and the docid of the passage that counts for it: the text of that is stored."""

    passage: str = ""


def stored_docid(hit: AnyHit) -> str:
    """The docid under which a hit's text is stored: a document's is that of its best passage."""
    return hit.passage if isinstance(hit, DocumentHit) else hit.docid


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
        best: dict[str, DocumentHit] = {}
        for hit in ranking:
            docid = hit.docid.split(self.delimiter)[0]
            best.setdefault(docid, DocumentHit(docid, hit.score, hit.docid))
            if len(best) == self.hits:
                break
        return Hits(best.values())
