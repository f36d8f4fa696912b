"""Tangent search: the gradient of a q-net steers Lucene's vector search to what it will like.

A trained q-net is nearly linear over a corpus, so that its gradient, used as a query vector, orders
documents almost as the q-net does. The mean of its gradients at a few documents from all over the
corpus tells where to look first; the nearest unseen documents are scored by the q-net; their scores
bend the direction to where the best are (`slope.py`), and so on until the best k no longer change.

The mean of the gradients is the better linear view: for vectors that are spread normally, it is the
linear regression of the scores (Stein's lemma), where the gradient at their mean is the slope at a
point where no document is. q-nets differ in what they make of a vector's length. The few documents
tell that, too: where their scores follow the angle with the direction more closely than the inner
product, documents are ranked by the angle.
"""

from __future__ import annotations

import time

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.reader import SOME, Index
from hypserini.modeling import QNet
from hypserini.modeling.workers import WORTH_SHARING
from hypserini.search.candidates import Candidates
from hypserini.search.filters import Filter, count_searched, java_of
from hypserini.search.modes.apart import rank_each
from hypserini.search.modes.exhaustive import ExhaustiveOptions, search_exhaustively
from hypserini.search.modes.first_tangent import first_tangents
from hypserini.search.modes.slope import Slopes
from hypserini.search.modes.steering import steer
from hypserini.search.modes.tangent_field import search_field_by_tangents
from hypserini.search.modes.tangent_options import TELLING, Plan, TangentOptions
from hypserini.search.ranking import Cost, Hits
from hypserini.search.scorer import TILE, QNetScorer, QueryBatch, score_block


class Nearest(Candidates):
    """Hands out, each time, the unseen documents nearest to a direction: tangent search, one query.

    Args:
        index: An opened index.
        k: Documents kept.
        block: Documents handed out at once, at most.
        filter: Leaves out all other documents.
        position: The query's place in its batch, for errors.

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
    ) -> None:
        if min(k, block) < 1:
            raise ValueError(f"k ({k}) and block ({block}) must be at least 1")
        super().__init__("Nearest", index, 1, block, k, block, java_of(filter))
        self._first_query = position
        self.direction = self._tensor(self._java.direction(), (index.dimension,))

    def fetch(self, count: int, ef: int, by_angle: bool = False, by_format: bool = False) -> int:
        """Hand out the up to `count` unseen documents with the largest inner products.

        Args:
            count: How many, at most a block.
            ef: Documents that the vector search keeps while it looks for them.
            by_angle: Rank by the cosine with the direction.
            by_format: By Lucene's own search, that is, by the field's similarity.

        Returns:
            How many there are; 0 when every document was handed out.
        """
        kept = min(ef, jvm.LARGEST)
        self._java.fetch(count, kept, by_angle, by_format)
        return self.next()

    def entered(self) -> int:
        """How many of the documents accepted last are among the best k now."""
        return int(self._java.entered(0))


def search_by_tangents(
    index: Index,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    options: TangentOptions,
    filter: Filter | None = None,
) -> list[Hits]:
    """Rank the documents that tangent search finds for each query of a batch.

    Where it would score about all documents that may be returned, it is exhaustive and exact.

    Raises:
        IndexingError: The budget does not go beyond the documents that tell where to look.
    """
    plan = options.follow(k).within(index.num_vectors)
    if plan.expected >= count_searched(index, filter):
        return search_exhaustively(index, batch, k, scorer, ExhaustiveOptions(), filter)
    if plan.max_scored <= SOME:
        raise IndexingError(
            f"tangent search scores {SOME} documents to know where to look, and may score"
            f" {plan.max_scored} in all: allow more (--max-scored), or search by graph."
        )
    if scorer.field is not None:
        return search_field_by_tangents(scorer.field, batch, k, scorer, plan, filter)
    work = plan.fetch * scorer.q_net.config.multiplications

    def rank(position: int, q_net: QNet) -> Hits:
        return _search(index, q_net, k, scorer, plan, filter, position)

    return rank_each(scorer, rank, small=work < WORTH_SHARING)


def _search(
    index: Index,
    q_net: QNet,
    k: int,
    scorer: QNetScorer,
    plan: Plan,
    filter: Filter | None,
    position: int,
) -> Hits:
    scorer = scorer.only(q_net)
    cost = Cost(mode="tangent")
    started = time.perf_counter()
    first = first_tangents(index, q_net, plan.first)
    cost.evaluations += first.evaluations
    cost.score_ms += first.milliseconds
    slope = Slopes(first.directions.cpu(), first.by_angle.cpu())
    steering = steer(index, bool(first.by_angle), plan.steering)
    ef = plan.ef if steering.fits else plan.wide_ef
    block = -(-min(plan.fetch, plan.max_scored) // TILE) * TILE
    with Nearest(index, max(k, TELLING), block, filter, position) as nearest:
        for _ in range(plan.rounds):
            nearest.direction[:] = steering.aim(slope.directions[0])
            count = min(plan.fetch, plan.max_scored - cost.evaluations)
            # The first search is wide; the next ones look around what is best now.
            width = count if cost.rounds else ef
            n = nearest.fetch(count, width, steering.by_angle, steering.by_format)
            if not n:
                break
            cost.score_ms += score_block(nearest, scorer, n)
            nearest.accept(n)
            cost.evaluations += n
            cost.rounds += 1
            if cost.evaluations >= plan.max_scored or nearest.entered() <= plan.stable:
                break
            before = time.perf_counter()
            slope.learn(nearest.vectors[None, :n], nearest.scores[:, :n])
            cost.score_ms += (time.perf_counter() - before) * 1e3
        hits = Hits.of(nearest.hits(0), cost)
    del hits[k:]
    cost.fetch_ms = (time.perf_counter() - started) * 1e3 - cost.score_ms
    return hits
