"""Tangent search over a resident field: a batch of queries at once, by exact products."""

from __future__ import annotations

import time

from hypserini.modeling.fitting import Fitting
from hypserini.search.filters import Filter
from hypserini.search.modes.first_tangent import first_tangents
from hypserini.search.modes.slope import Slopes
from hypserini.search.modes.tangent_options import TELLING, Plan
from hypserini.search.ranking import Cost, Hits
from hypserini.search.resident.field import ResidentField
from hypserini.search.resident.nearest import ResidentNearest
from hypserini.search.scorer import QNetScorer, QueryBatch


def search_field_by_tangents(
    field: ResidentField,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    plan: Plan,
    filter: Filter | None = None,
) -> list[Hits]:
    """Rank the documents that tangent search finds for each query of a batch.

    Fewer queries at once are searched where the device's memory does not suffice for all.
    """
    rankings: list[Hits] = []
    Fitting("queries").run(
        lambda start, end: rankings.extend(
            _search(field, scorer, start, end, k, plan, filter),
        ),
        len(batch),
    )
    return rankings


def _search(
    field: ResidentField,
    scorer: QNetScorer,
    start: int,
    end: int,
    k: int,
    plan: Plan,
    filter: Filter | None,
) -> list[Hits]:
    """Search for the q-nets from `start` to `end`; their milliseconds are shared out evenly."""
    started = time.perf_counter()
    q_net = scorer.q_net[start:end]
    first = first_tangents(field.index, q_net, plan.first)
    costs = [Cost(mode="tangent", evaluations=first.evaluations) for _ in range(start, end)]
    active = list(costs)
    evaluations = first.evaluations
    score_ms = first.milliseconds
    slopes = Slopes(first.directions, first.by_angle)
    with ResidentNearest(field, len(costs), max(k, TELLING), filter, start) as nearest:
        for _ in range(plan.rounds):
            count = min(plan.fetch, plan.max_scored - evaluations)
            n = nearest.fetch(slopes.directions, slopes.by_angle, count)
            if not n:
                break
            before = time.perf_counter()
            nearest.scores = q_net.score_groups(nearest.vectors)
            nearest.accept(n)
            evaluations += n
            for cost in active:
                cost.evaluations += n
                cost.rounds += 1
            going = nearest.entered() > plan.stable
            if evaluations >= plan.max_scored or not bool(going.any()):
                score_ms += (time.perf_counter() - before) * 1e3
                break
            slopes.learn(nearest.vectors[:, :n], nearest.scores[:, :n])
            if not bool(going.all()):
                nearest.keep(going)
                active = [cost for cost, goes in zip(active, going.tolist(), strict=True) if goes]
                slopes = slopes.only(going.to(slopes.directions.device))
                q_net = q_net[going.nonzero()[:, 0].tolist()]
            score_ms += (time.perf_counter() - before) * 1e3
        found = [nearest.hits(number) for number in range(len(costs))]
    milliseconds = (time.perf_counter() - started) * 1e3
    rankings = []
    for cost, (docids, scores) in zip(costs, found, strict=True):
        cost.score_ms = score_ms / len(costs)
        cost.fetch_ms = (milliseconds - score_ms) / len(costs)
        hits = Hits.of((docids, scores), cost)
        del hits[k:]
        rankings.append(hits)
    return rankings
