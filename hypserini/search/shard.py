"""One shard of an index in a process of its own on a cluster: what is sent to it, and it itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hypserini.modeling import QNet
from hypserini.modeling.q_net_config import QNetConfig
from hypserini.search.cascade import Cascade
from hypserini.search.filters import remake_filter
from hypserini.search.modes.auto import AutoOptions
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.rerank import Reranked, RerankOptions
from hypserini.search.ranking import Hits
from hypserini.search.resident.residence import Residence
from hypserini.search.scorer import QueryBatch
from hypserini.search.searcher import LuceneHypencoderSearcher


@dataclass(frozen=True, slots=True)
class SentQuery:
    """A batch of queries as arrays, which the processes of a node share and do not copy."""

    kind: type[QNet]
    config: QNetConfig
    parts: list[np.ndarray]
    qids: Sequence[str]
    texts: Sequence[str | None]

    @classmethod
    def of(cls, batch: QueryBatch) -> SentQuery:
        """What a batch is sent as; numbers of 16 bits as 32, which holds them all."""
        q_net = batch.q_net.detach().to("cpu", torch.float32)
        parts = [part.numpy() for part in q_net.parts()]
        return cls(type(q_net), q_net.config, parts, list(batch.qids), list(batch.texts))

    def batch(self) -> QueryBatch:
        """The batch again."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")  # nor is it written to
            parts = [torch.from_numpy(part) for part in self.parts]
        return QueryBatch(self.kind.of_parts(self.config, parts), self.qids, self.texts)


class Shard:
    """A searcher of one shard, which is sent encoded queries; made in its process.

    Args:
        folder: The shard's.
        device: As `LuceneHypencoderSearcher` takes it, like the next two.
        dtype: The number format of the arithmetic.
        residence: Whether the dense field is kept on the device.
        threads: Threads to score with.
    """

    def __init__(
        self, folder: str, device: str, dtype: str, residence: Residence, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        self._searcher = LuceneHypencoderSearcher(
            folder, device=device, dtype=dtype, residence=residence
        )

    def search(
        self,
        query: SentQuery,
        k: int,
        mode: str,
        options: Any,
        filter: str | list[str] | None,
        cascade: Cascade | None,
    ) -> list[Hits]:
        """The `k` best documents of the shard for each query.

        Args:
            query: The queries.
            k: Hits a query.
            mode: How to search.
            options: The mode's.
            filter: What a filter is made of: a query in Lucene's syntax, or docids.
            cascade: How the search is divided among the q-nets' sizes.
        """
        index = self._searcher.index
        if not index.num_vectors:
            return [_nothing(qid, options) for qid in query.qids]
        if not isinstance(options, RerankOptions):
            k = min(k, index.num_vectors)
        if isinstance(options, AutoOptions):  # which were made where other threads are
            options = replace(options, threads=torch.get_num_threads())
        wanted = None if filter is None else remake_filter(index, filter)
        return self._searcher.rank_batch(query.batch(), k, mode, options, wanted, cascade)


def _nothing(qid: str, options: Any) -> Hits:
    """What a shard without vectors finds."""
    if not isinstance(options, RerankOptions):
        return Hits()
    assert isinstance(options.first_stage, GivenRankings)
    return Reranked(missing=options.first_stage.of(qid))
