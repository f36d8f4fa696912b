"""The queries that are searched together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypserini.modeling import QNet


@dataclass(frozen=True, slots=True)
class QueryBatch:
    """Some queries: their q-nets, their ids, and their texts where they are known.

    Attributes:
        q_net: A batch of `q` q-nets.
        qids: `q` query ids.
        texts: `q` texts; None for a query that was given as a q-net.
    """

    q_net: QNet
    qids: Sequence[str]
    texts: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.qids)
