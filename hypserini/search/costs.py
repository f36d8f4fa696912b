"""What searching cost and what an approximate search missed: told in lines to be printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hypserini.search.ranking import Cost, Hits, rounding

DEPTHS = (10, 100, 1000)
MEASURED = (
    ("q-net evaluations", "evaluations"),
    ("rounds", "rounds"),
    ("encode ms", "encode_ms"),
    ("fetch ms", "fetch_ms"),
    ("score ms", "score_ms"),
    ("all ms", "total_ms"),
)


class CostReport:
    """Gathers the costs of queries."""

    def __init__(self) -> None:
        self._costs: list[Cost] = []
        self._modes: dict[str, None] = {}  # in the order of their first queries

    def add(self, cost: Cost) -> None:
        """Count the cost of one query."""
        self._costs.append(cost)
        self._modes[cost.mode] = None

    @property
    def first_mode(self) -> str:
        """How the first query was searched; empty before there was one."""
        return next(iter(self._modes), "")

    def lines(self) -> Iterator[str]:
        """The distribution over the queries, a line a measurement."""
        if not self._costs:
            return
        modes = " and ".join(self._modes)
        yield f"cost a query ({modes}, {len(self._costs):,} queries)"
        yield f"{'':18}{'mean':>10}{'median':>10}{'95 %':>10}{'most':>10}"
        for name, attribute in MEASURED:
            values = np.array([getattr(cost, attribute) for cost in self._costs], dtype=float)
            told = (values.mean(), np.median(values), np.percentile(values, 95), values.max())
            yield f"{name:18}" + "".join(f"{value:10,.1f}" for value in told)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a search lost against the exhaustive one, down to a depth.

    Attributes:
        depth: Ranks compared.
        overlap: The share of the exhaustive hits that were found, mean over the topics.
        worst: That of the worst topic.
        score_lost: How much lower the mean score of a hit is, mean over the topics.
    """

    depth: int
    overlap: float
    worst: float
    score_lost: float


def losses(found: Mapping[str, Hits], exact: Mapping[str, Hits], k: int) -> list[Loss]:
    """Compare rankings of `k` hits with the exhaustive ones, at depths of 10, 100 and 1000."""
    depths = sorted({depth for depth in DEPTHS if depth <= k} or {k})
    return [loss_at(found, exact, depth) for depth in depths]


def loss_at(found: Mapping[str, Hits], exact: Mapping[str, Hits], depth: int) -> Loss:
    """Compare rankings with the exhaustive ones down to one depth."""
    overlaps, lost = [], []
    for qid, everything in exact.items():
        best = everything[:depth]
        if not best:
            continue
        top = found[qid][:depth]
        # A document that ties with the last, but for rounding, counts: which come in is chance.
        worst = best[-1].score
        wanted = {hit.docid for hit in best}
        near = rounding(hit.score for hit in best)
        hits = sum(hit.docid in wanted or abs(hit.score - worst) <= near for hit in top)
        overlaps.append(min(1.0, hits / len(best)))
        lost.append(_mean_score(best) - _mean_score(top))
    if not overlaps:
        return Loss(depth, 1.0, 1.0, 0.0)
    return Loss(depth, float(np.mean(overlaps)), min(overlaps), float(np.mean(lost)))


def _mean_score(hits: Sequence[object]) -> float:
    return float(np.mean([hit.score for hit in hits])) if hits else 0.0  # type: ignore[attr-defined]


def loss_lines(found: Iterable[Loss], topics: int) -> Iterator[str]:
    """A line a depth, under a heading."""
    yield f"against exhaustive search, {topics:,} topics"
    for loss in found:
        yield (
            f"  overlap@{loss.depth:<5} {loss.overlap:.4f}  (worst topic {loss.worst:.2f}), "
            f"mean score of a hit lower by {loss.score_lost:.5f}"
        )


def spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` of the numbers 0 .. count - 1, spread evenly."""
    wanted = min(count, wanted)
    return [i * count // wanted for i in range(wanted)]
