"""Small q-nets for the way and whole ones for the ranking, of a model of nested sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypserini.index.reader import Index
from hypserini.modeling.nested import shortened
from hypserini.search.filters import Filter
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.rerank import RerankOptions, rerank
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hits
from hypserini.search.scorer import QNetScorer, QueryBatch

Search = Callable[[QueryBatch, int, QNetScorer], list[Hits]]
"""A search with q-nets: a batch of them, how many hits, and what scores."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """How a search is divided among the sizes.

    Attributes:
        blocks: Hidden blocks of the small q-nets, which search.
        depth: Documents that they hand on to the whole ones; by default twice the hits, and at
            least 100.
    """

    blocks: int
    depth: int | None = None

    def __post_init__(self) -> None:
        check_range(0, blocks=self.blocks)
        check_range(1, depth=self.depth)

    def depth_for(self, k: int, index: Index) -> int:
        """How many documents the small q-nets are to find for `k` hits."""
        return min(max(k, self.depth or max(2 * k, 100)), max(1, index.num_vectors))

    def search(
        self,
        index: Index,
        batch: QueryBatch,
        k: int,
        scorer: QNetScorer,
        filter: Filter | None,
        search: Search,
    ) -> list[Hits]:
        """Search with the small q-nets, and rank what they found by the whole ones.

        Args:
            index: What is searched.
            batch: The whole q-nets.
            k: Hits of each query.
            scorer: Of the whole q-nets.
            filter: As the search's, or None.
            search: The search.

        Raises:
            ModelError: The q-nets have no so many blocks.
        """
        small = shortened(batch.q_net, self.blocks)
        depth = self.depth_for(k, index)
        found = search(replace(batch, q_net=small), depth, scorer.only(small))
        docids = {
            qid: [hit.docid for hit in hits] for qid, hits in zip(batch.qids, found, strict=True)
        }
        ranked = rerank(index, batch, k, scorer, RerankOptions(GivenRankings(docids)), filter)
        for hits, before in zip(ranked, found, strict=True):
            for part in ("evaluations", "rounds", "fetch_ms", "score_ms"):
                whole = getattr(hits.cost, part) + getattr(before.cost, part)
                setattr(hits.cost, part, whole)
            hits.cost.mode = before.cost.mode
        return ranked
