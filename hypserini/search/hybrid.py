"""Hybrid search: rankings of BM25 and of the q-net fused, by Pyserini's own arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hypserini.formats.runs import Hit as AnyHit
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hit, Hits

METHODS = ("rrf", "interpolate", "average", "normalize")


@dataclass(frozen=True, slots=True)
class HybridOptions:
    """How two rankings become one, as in `python -m pyserini.fusion`.

    Attributes:
        method: `rrf`, the sum of 1 / (rrf_k + rank); `interpolate`, alpha * BM25 + (1 - alpha) *
            q-net; `average` of the scores; `normalize`, the sum of the scores brought to 0..1.
            A document that one ranking lacks gets nothing from it.
        alpha: BM25's weight under `interpolate`.
        normalization: Bring each ranking's scores to 0..1 first, for `interpolate` and `average`.
        rrf_k: The constant of `rrf`.
    """

    method: Literal["rrf", "interpolate", "average", "normalize"] | str = "rrf"
    alpha: float = 0.5
    normalization: bool = False
    rrf_k: int = 60

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"no fusion {self.method!r}: choose from {', '.join(METHODS)}")
        check_range(0, 1, alpha=self.alpha)
        check_range(1, rrf_k=self.rrf_k)


def fuse(
    bm25: Sequence[Sequence[AnyHit]],
    q_net: Sequence[Sequence[AnyHit]],
    k: int,
    options: HybridOptions,
) -> list[Hits]:
    """Fuse the rankings of some queries.

    Scores count with the six digits of a run file, so that the result is that of fusing the two
    files.

    Args:
        bm25: The hits of each query by BM25, best first.
        q_net: The hits of the same queries by the q-net.
        k: Hits of each query to take from either, and to return.
        options: How.
    """
    from pyserini import fusion
    from pyserini.trectools import RescoreMethod

    rankings = [Hits() for _ in bm25]
    if not any(bm25) and not any(q_net):
        return rankings
    runs = [_trec_run(bm25), _trec_run(q_net)]
    if options.normalization:
        runs = [run.rescore(method=RescoreMethod.NORMALIZE) for run in runs]
    k = min(k, sum(map(len, [*bm25, *q_net])))
    limits = {"depth": k, "k": k}
    if options.method == "rrf":
        fused = fusion.reciprocal_rank_fusion(runs, rrf_k=options.rrf_k, **limits)
    elif options.method == "interpolate":
        fused = fusion.interpolation(runs, alpha=options.alpha, **limits)
    elif options.method == "average":
        fused = fusion.average(runs, **limits)
    else:
        fused = fusion.normalize(runs, **limits)
    columns = fused.run_data[["topic", "docid", "score"]]
    for topic, docid, score in columns.itertuples(index=False):
        rankings[topic].append(Hit(docid, float(score)))
    return rankings


def _trec_run(rankings: Sequence[Sequence[AnyHit]]) -> Any:
    """The rankings as Pyserini's TrecRun, the topics numbered."""
    import pandas as pd
    from pyserini.trectools import TrecRun

    rows = [
        (topic, "Q0", hit.docid, rank, float(f"{hit.score:.6f}"), "hypserini")
        for topic, ranking in enumerate(rankings)
        for rank, hit in enumerate(ranking, start=1)
    ]
    run = TrecRun()
    run.run_data = pd.DataFrame(rows, columns=TrecRun.columns)
    # An empty frame would have columns of objects, which cannot be summed.
    run.run_data = run.run_data.astype({"topic": "int64", "rank": "int64", "score": "float64"})
    return run
