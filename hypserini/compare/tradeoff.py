"""What tangent search finds of the exhaustive ranking, against what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hypserini.search.costs import loss_at
from hypserini.search.modes.tangent_options import TangentOptions
from hypserini.search.ranking import Hits
from hypserini.search.searcher import LuceneHypencoderSearcher

FETCHES = (16, 32, 64, 128, 256, 512, 1024)
"""Documents scored a round."""


@dataclass(frozen=True, slots=True)
class Point:
    """One way to search; means over the queries.

    Attributes:
        fetch: Documents scored a round; None: all of them, the exhaustive search.
        evaluations: Documents that the q-net scored of a query.
        milliseconds: Of a query, its encoding left out.
        overlap: The share of the exhaustive ranking that was found.
    """

    fetch: int | None
    evaluations: float
    milliseconds: float
    overlap: float


def measure_tradeoff(
    searcher: LuceneHypencoderSearcher, queries: Sequence[str], k: int
) -> list[Point]:
    """Search some queries ever more thoroughly, and exhaustively in the end.

    Args:
        searcher: The index.
        queries: The texts.
        k: Hits compared.
    """
    qids = [str(number) for number in range(len(queries))]
    exact = searcher.batch_search(queries, qids, k, mode="exhaustive")
    points = []
    for fetch in FETCHES:
        if fetch >= searcher.index.num_vectors:
            break
        options = TangentOptions(fetch=fetch)
        found = searcher.batch_search(queries, qids, k, mode="tangent", options=options)
        points.append(_point(fetch, found, loss_at(found, exact, k).overlap))
    return [*points, _point(None, exact, 1.0)]


def _point(fetch: int | None, found: dict[str, Hits], overlap: float) -> Point:
    costs = [hits.cost for hits in found.values()]
    return Point(
        fetch,
        fmean(cost.evaluations for cost in costs),
        fmean(cost.fetch_ms + cost.score_ms for cost in costs),
        overlap,
    )
