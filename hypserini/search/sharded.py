"""`ShardedHypencoderSearcher`: the shards of an index are searched on a Ray cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from hypserini.cluster.connection import ClusterOptions, connected, share_of
from hypserini.cluster.crew import Crew, Gone, refuse_gone
from hypserini.errors import ClusterError
from hypserini.index.shards import IndexPaths
from hypserini.modeling import QNet
from hypserini.search.cascade import Cascade
from hypserini.search.filters import Filter
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.rerank import Reranked, RerankOptions, put_last
from hypserini.search.ranking import Cost, Hits
from hypserini.search.scorer import QueryBatch
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.search.shard import SentQuery, Shard

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

logger = logging.getLogger(__name__)

AHEAD = 2
"""Batches under way at least: one is encoded here while the shards search with another."""


class ShardedHypencoderSearcher(LuceneHypencoderSearcher):
    """A `LuceneHypencoderSearcher` whose shards are searched each by a process of a Ray cluster.

    Queries are encoded here, once; the best of all shards are ranked here. A shard whose process
    or node dies is opened again, there or on another node, and searched again. The folders must be
    seen under the same paths by this machine and all nodes: BM25, filters' docids and stored texts
    are read here, over all shards as one index. Scores and exhaustive rankings are those of one
    index; bounds of approximate search (`--max-scored`) hold for each shard.

    Args:
        index: As `LuceneHypencoderSearcher` takes it, like `model` and all other options.
        model: The model.
        cluster: Which cluster, and what of it a shard gets.
        allow_partial: Leave out shards that do not answer, instead of refusing the query.

    Attributes:
        without: The names of shards that did not answer some query, under `allow_partial`.

    Raises:
        ClusterError: There is no cluster, or it has too little.
    """

    def __init__(
        self,
        index: IndexPaths,
        model: str | DualEncoder | None = None,
        *,
        cluster: ClusterOptions | None = None,
        allow_partial: bool = False,
        **options: Any,
    ) -> None:
        self._held = ExitStack()
        super().__init__(index, model, **options)
        self._allow_partial = allow_partial
        self._sent: WeakKeyDictionary[Filter, Any] = WeakKeyDictionary()
        self._names = [folder.name for folder in self.index.folders]
        try:
            self._crew = self._start(cluster or ClusterOptions())
        except BaseException:
            self.close()
            raise

    def _start(self, cluster: ClusterOptions) -> Crew:
        ray = self._held.enter_context(connected(cluster.address))
        share = share_of(ray, cluster, len(self._names) * cluster.replicas)
        how = (self._device, self._dtype, self._residence, share.threads)
        arguments = [(str(Path(folder).absolute()), *how) for folder in self.index.folders]
        crew = Crew(ray, Shard, arguments, share, cluster.patience, cluster.replicas)
        self._held.callback(crew.close)
        return crew

    def stream_search(
        self,
        queries: Sequence[str | QNet],
        qids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        **how: Any,
    ) -> Iterator[tuple[str, Hits]]:
        """As in `LuceneHypencoderSearcher`; one batch is encoded while others are searched.

        Raises:
            ClusterError: A shard does not answer, and `allow_partial` was not given.
        """
        ahead = AHEAD if len(queries) > self.batch_size and threads == 1 else threads
        return super().stream_search(queries, qids, k, ahead, **how)

    def rank_batch(
        self,
        batch: QueryBatch,
        k: int,
        mode: str,
        options: Any,
        filter: Filter | None,
        cascade: Cascade | None = None,
    ) -> list[Hits]:
        """Search all shards with one batch of encoded queries, and rank the best of all."""
        given: list[list[str]] | None = None
        if isinstance(options, RerankOptions):
            if options.adaptive:
                raise ClusterError(
                    "adaptive reranking walks one graph and not those of shards: leave --adaptive"
                    " or --cluster out."
                )
            given = options.first_stage.rankings(batch, filter)
            rankings = GivenRankings(dict(zip(batch.qids, given, strict=True)))
            sent = RerankOptions(rankings, drop_missing=True)
        else:
            sent = options
        query = self._crew.put(SentQuery.of(batch))
        how = (k, mode, sent, self._sent_filter(filter), cascade)
        answers = self._crew.call("search", query, *how)
        parts = self._those_there(answers)
        found = [merged(of_query, k) for of_query in zip(*parts, strict=True)]
        if given is not None:
            last = not options.drop_missing and filter is None
            for hits, docids in zip(found, given, strict=True):
                _name_missing(cast(Reranked, hits), docids, k if last else 0)
        return found

    def close(self) -> None:
        """End the processes of the shards, and close the index."""
        self._held.close()
        super().close()

    def _sent_filter(self, filter: Filter | None) -> Any:
        if filter is None:
            return None
        if filter not in self._sent:
            self._sent[filter] = self._crew.put(filter.what)
        return self._sent[filter]

    def _those_there(self, answers: list[Any]) -> list[list[Hits]]:
        """The answers of the shards that gave one, all of them or as many as may be."""
        there = [answer for answer in answers if not isinstance(answer, Gone)]
        if not (there and self._allow_partial):
            refuse_gone(answers, [f"the shard {name}" for name in self._names])
        for name, answer in zip(self._names, answers, strict=True):
            if isinstance(answer, Gone):
                logger.warning("searched without the shard %s: %s", name, answer.reason)
                if name not in self.without:
                    self.without.append(name)
        return there


def merged(parts: Sequence[Hits], k: int) -> Hits:
    """The best `k` of a query's rankings of several shards, ties by docid.

    What the shards spent side by side counts as that of the longest.
    """
    best = sorted(chain.from_iterable(parts), key=lambda hit: (-hit.score, hit.docid))[:k]
    costs = [part.cost for part in parts]
    cost = Cost(
        evaluations=sum(cost.evaluations for cost in costs),
        rounds=max(cost.rounds for cost in costs),
        fetch_ms=max(cost.fetch_ms for cost in costs),
        score_ms=max(cost.score_ms for cost in costs),
        mode="+".join(sorted({cost.mode for cost in costs if cost.mode})),
    )
    if not all(isinstance(part, Reranked) for part in parts):
        return Hits(best, cost)
    nowhere = set.intersection(*(set(cast(Reranked, part).missing) for part in parts))
    return Reranked(best, cost, sorted(nowhere))


def _name_missing(hits: Reranked, docids: Sequence[str], k: int) -> None:
    """Put what no shard holds into the order of the first stage, and last of the ranking."""
    nowhere = set(hits.missing)
    hits.missing = [docid for docid in docids if docid in nowhere]
    put_last(hits, hits.missing, k)
