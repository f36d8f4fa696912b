"""The vector of a query that stands beside its network, made of the same token states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hypserini.errors import ModelError
from hypserini.modeling.pooling import check_pooling, pool
from hypserini.modeling.projections import make_projections, projected_width


class QueryVector(nn.Module):
    """Pooling, and what a bi-encoder puts behind it: the query's vector as that one makes it.

    Args:
        described: `pooling_type`, and `projections` as in `projections`.
        width: of the token states.
        dim: of the document vectors.

    Raises:
        ModelError: the vector has another dimension than the documents'.
    """

    def __init__(self, described: Mapping[str, Any], width: int, dim: int) -> None:
        super().__init__()
        self.pooling = check_pooling(described.get("pooling_type", "cls"))
        projections = described.get("projections") or []
        made = projected_width(width * len(self.pooling.split("+")), projections)
        if made != dim:
            raise ModelError(
                f"the query vector has {made} dimensions and the document vectors {dim}: let the "
                "last of query_vector's projections bring it to theirs."
            )
        self.projections = make_projections(projections)

    def forward(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """The vectors [q, dim] of token states [q, length, width]."""
        return self.projections(pool(states, attention_mask, self.pooling))
