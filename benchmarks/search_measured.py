"""What the comparison of ways to search tells of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """One method at one depth: means over the topics; `ndcg` is of the known items, at 10.

    `overlap` is that with the exhaustive best by q-net, `own` that with the exact best by what the
    method ranks by: for the dot products, the exact dot products.
    """

    documents: int
    q_nets: str
    depth: int
    method: str
    setting: str
    overlap: float
    own: float
    evaluations: float
    milliseconds: float
    ndcg: float
