"""Measures in the field's notation (`nDCG@10`, `RR(rel=2)`), computed by trec_eval's own code."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from hypserini.errors import MeasureError, RunError, shorten
from hypserini.formats.qrels import Qrels
from hypserini.formats.runs import Run

# Our name -> trec_eval's without and with a cutoff (None: there is none).
_TREC_NAMES: dict[str, tuple[str | None, str | None]] = {
    "nDCG": ("ndcg", "ndcg_cut"),
    "RR": ("recip_rank", "recip_rank"),
    "R": (None, "recall"),
    "AP": ("map", "map_cut"),
    "P": (None, "P"),
    "Success": (None, "success"),
    "Rprec": ("Rprec", None),
    "Bpref": ("bpref", None),
    "Judged": (None, "judged"),
}
_ALIASES = {
    **{name.lower(): name for name in _TREC_NAMES},
    **{trec: name for name, pair in _TREC_NAMES.items() for trec in pair if trec},
    **{"mrr": "RR", "map": "AP", "recall": "R", "precision": "P"},
}
_GRAMMAR = re.compile(r"([A-Za-z_]+?)(?:\(rel=([0-9]{1,9})\))?(?:[@._]([0-9]{1,9}))?")

Scores = dict["Measure", dict[str, float]]
"""Measure -> topic id -> value."""


@dataclass(frozen=True, order=True)
class Measure:
    """A measure, as its name says: `R(rel=2)@1000` counts grades of 2 and more as relevant.

    Attributes:
        name: nDCG, RR, R, AP, P, Success, Rprec, Bpref or Judged.
        cutoff: how many documents count, or None for all.
        rel: the lowest grade that is relevant (nDCG takes the grades themselves: always 1).
    """

    name: str
    cutoff: int | None = None
    rel: int = 1

    def __str__(self) -> str:
        rel = f"(rel={self.rel})" if self.rel != 1 else ""
        return f"{self.name}{rel}" + (f"@{self.cutoff}" if self.cutoff else "")


def parse_measure(text: str) -> Measure:
    """Parse `nDCG@10`, `RR(rel=2)`, `R(rel=2)@1000`, or trec_eval's `ndcg_cut.10`, `recip_rank`.

    Raises:
        MeasureError: an unknown name (the nearest is named), or a cutoff or grade that the measure
            does not take.
    """
    found = _GRAMMAR.fullmatch(text.strip())
    name = found and _ALIASES.get(found[1].lower(), _ALIASES.get(found[1]))
    if not found or not name:
        near = get_close_matches(text.split("@")[0].split("(")[0].lower(), _ALIASES, 1)
        hint = f"; the nearest is {_ALIASES[near[0]]}" if near else ""
        raise MeasureError(
            f"unknown measure {shorten(text)}{hint}: expected {', '.join(_TREC_NAMES)}, as in"
            " nDCG@10 or R(rel=2)@1000."
        )
    rel, cutoff = int(found[2] or 1), int(found[3]) if found[3] else None
    without, with_cutoff = _TREC_NAMES[name]
    if cutoff is None and without is None:
        raise MeasureError(f"the measure {text} needs a cutoff, as in {name}@10.")
    if cutoff is not None and (with_cutoff is None or cutoff < 1):
        raise MeasureError(f"the measure {text} takes no such cutoff.")
    if rel < 1 or (rel > 1 and name in ("nDCG", "Judged")):
        raise MeasureError(f"the measure {text} takes no such grade.")
    return Measure(name, cutoff, rel)


def default_measures(qrels: Qrels) -> list[Measure]:
    """Return the paper's measures (arXiv 2502.05364, tables 1 and 2) for these judgements."""
    names = {
        "dl": ["nDCG@10", "RR(rel=2)", "R(rel=2)@1000"],
        "msmarco-dev": ["nDCG@10", "RR@10", "R@1000"],
    }.get(qrels.kind or "", ["nDCG@10", "RR", "R@1000"])
    return [parse_measure(name) for name in names]


def evaluate(
    qrels: Qrels | Mapping[str, Mapping[str, int]],
    run: Run | Mapping[str, Mapping[str, float]],
    measures: Iterable[Measure | str],
) -> Scores:
    """Compute measures for every judged topic; topics that the run misses count 0.

    Documents are ranked as trec_eval ranks them: by score as float32, equal scores by document id
    from the last to the first. Means over the result equal `trec_eval -c`, and `RR@10` equals
    `trec_eval -c -M 10 -m recip_rank`.

    Args:
        qrels: judgements.
        run: topic id -> (document id, score) pairs or a mapping of them.
        measures: what to compute.

    Returns:
        measure -> topic id -> value, for each topic of the judgements in their order.

    Raises:
        MeasureError: an unknown measure.
        RunError: no topic of the run is judged.
    """
    import pytrec_eval

    judgements = {
        qid: dict(grades)
        for qid, grades in (qrels.judgements if isinstance(qrels, Qrels) else qrels).items()
    }
    judged_run = {qid: dict(hits) for qid, hits in run.items() if qid in judgements}
    if not judged_run:
        raise RunError(
            f"none of the run's {len(run)} topics ({_some(run)}) is judged ({_some(judgements)}): "
            "run and qrels belong to different topics."
        )
    wanted = [parse_measure(each) if isinstance(each, str) else each for each in measures]
    scores: Scores = {}
    groups: dict[tuple[int, int | None], list[Measure]] = defaultdict(list)
    for measure in wanted:
        if measure.name == "Judged":
            scores[measure] = _judged(judgements, judged_run, measure.cutoff or 0)
        else:
            groups[measure.rel, measure.cutoff if measure.name == "RR" else None].append(measure)
    for (rel, depth), group in groups.items():
        shown = {qid: dict(ranked(hits)[:depth]) for qid, hits in judged_run.items()}
        evaluator = pytrec_eval.RelevanceEvaluator(
            judgements, {_trec_name(measure) for measure in group}, relevance_level=rel
        )
        results = evaluator.evaluate(shown if depth else judged_run)
        for measure in group:
            key = _trec_name(measure)
            scores[measure] = {qid: results.get(qid, {}).get(key, 0.0) for qid in judgements}
    return {measure: scores[measure] for measure in wanted}


def mean(values: Mapping[str, float] | Sequence[float]) -> float:
    """Return the mean over topics."""
    numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
    return float(np.mean(numbers))


def ranked(hits: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the documents of a topic in trec_eval's order."""
    by_id = sorted(hits.items(), key=lambda hit: hit[0].encode(), reverse=True)
    return sorted(by_id, key=lambda hit: -np.float32(hit[1]))


def _judged(
    judgements: Mapping[str, Mapping[str, int]], run: Mapping[str, Mapping[str, float]], depth: int
) -> dict[str, float]:
    """The share of the first `depth` documents that carry a judgement at all."""
    shares = dict.fromkeys(judgements, 0.0)
    for qid, hits in run.items():
        top = ranked(hits)[:depth]
        shares[qid] = sum(docid in judgements[qid] for docid, _ in top) / max(len(top), 1)
    return shares


def _trec_name(measure: Measure) -> str:
    without, with_cutoff = _TREC_NAMES[measure.name]
    if measure.cutoff is None or measure.name == "RR":
        return without or ""
    return f"{with_cutoff}_{measure.cutoff}"


def _some(topics: Iterable[str]) -> str:
    first = list(topics)[:3]
    return ", ".join(first) + (", ..." if len(first) == 3 else "")
