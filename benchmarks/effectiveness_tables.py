"""Tables of a comparison: means with marks of significance, and Hypencoders against bi-encoders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from benchmarks.effectiveness_runs import BM25, FIRST_STAGE, HYBRID, RERANKER, ROLES, System
from hypserini.evaluate import Measure, compare, mean, parse_measure
from hypserini.evaluate.measures import Scores
from hypserini.evaluate.report import LEVEL
from hypserini.evaluate.significance import Comparison

MEASURES = tuple(map(parse_measure, ("nDCG@10", "RR@10", "R@100")))
BI_ENCODER = "bi-encoder"
MINED = "-mined"
"""The end of the names of models that were trained on with mined negatives."""

Comparisons = dict[System, dict[Measure, Comparison]]


def bi_encoders_for(
    systems: Collection[System], baseline_name: str = BI_ENCODER
) -> dict[System, System]:
    """By system, the bi-encoder of the same training in the same role, where there is one."""
    found = {}
    for system in systems:
        mined = MINED if system.model.endswith(MINED) else ""
        baseline = System(baseline_name + mined, system.role)
        if baseline in systems and system not in (BM25, baseline):
            found[system] = baseline
    return found


def against_bm25(scores: Mapping[System, Scores]) -> Comparisons:
    """Every system against BM25; p is corrected (Holm) over all of them, measure by measure."""
    return _against(BM25, [system for system in scores if system != BM25], scores)


def against_bi_encoder(
    scores: Mapping[System, Scores], baseline_name: str = BI_ENCODER
) -> Comparisons:
    """Every system against the bi-encoder of the same training, in the same role.

    p is corrected (Holm) over the systems that have the same bi-encoder, measure by measure.
    """
    comparisons: Comparisons = {}
    baselines = bi_encoders_for(scores, baseline_name)
    for baseline in dict.fromkeys(baselines.values()):
        others = [system for system, its in baselines.items() if its == baseline]
        comparisons |= _against(baseline, others, scores)
    return comparisons


def _against(
    baseline: System, others: Sequence[System], scores: Mapping[System, Scores]
) -> Comparisons:
    comparisons: Comparisons = {system: {} for system in others}
    for measure in MEASURES:
        found = compare(scores[baseline][measure], [scores[other][measure] for other in others])
        for system, comparison in zip(others, found, strict=True):
            comparisons[system][measure] = comparison
    return comparisons


def means_table(
    scores: Mapping[System, Scores],
    baseline: str = BI_ENCODER,
    spreads: Mapping[System, Mapping[Measure, float]] | None = None,
) -> str:
    """The mean of each measure for each system, role by role, in Markdown.

    `spreads` are standard deviations over seeds, of the systems that have several.
    """
    marks = {"b": against_bm25(scores), "e": against_bi_encoder(scores, baseline)}
    rows = []
    for system in _in_order(scores):
        cells = []
        for measure in MEASURES:
            better = [
                mark
                for mark, comparisons in marks.items()
                if system in comparisons and _is_better(comparisons[system][measure])
            ]
            spread = (spreads or {}).get(system, {}).get(measure)
            within = "" if spread is None else f"±{spread:.3f} "
            cells.append(f"{mean(scores[system][measure]):.3f} {within}{''.join(better)}".rstrip())
        rows.append([system.role, system.model, *cells])
    return _markdown(["role", "model", *map(str, MEASURES)], rows)


def differences_table(scores: Mapping[System, Scores], baseline: str = BI_ENCODER) -> str | None:
    """What Hypencoders gain over bi-encoders, with p, in Markdown; None if there are none."""
    comparisons = against_bi_encoder(scores, baseline)
    baselines = bi_encoders_for(scores, baseline)
    rows = []
    for system in _in_order(comparisons):
        differences = [_difference(comparisons[system][measure]) for measure in MEASURES]
        rows.append([system.role, system.model, baselines[system].model, *differences])
    if not rows:
        return None
    return _markdown(["role", "model", "less", *map(str, MEASURES)], rows)


def section(
    title: str,
    scores: Mapping[System, Scores],
    *,
    topics: int,
    reranked: int,
    baseline: str = BI_ENCODER,
    spreads: Mapping[System, Mapping[Measure, float]] | None = None,
) -> Iterator[str]:
    """The lines of a collection's part of the report.

    Args:
        title: what was searched.
        scores: per topic, of each system.
        topics: how many.
        reranked: documents of BM25 that were reranked.
        baseline: the model that the others are compared with.
        spreads: standard deviations over seeds.
    """
    yield f"## {title}, {topics:,} topics\n"
    yield means_table(scores, baseline, spreads)
    yield (
        f"\n{FIRST_STAGE}: all documents are scored. {RERANKER}: of the first {reranked} of BM25. "
        f"{HYBRID}: reciprocal rank fusion with BM25. b: better than BM25, e: better than the "
        f"{baseline} of the same training in the same role (p < {LEVEL}, paired t-test, "
        "two-sided, corrected by Holm over the systems compared with the same one)."
    )
    if differences := differences_table(scores, baseline):
        yield f"\nDifferences from the {baseline} of the same training, with that p:\n"
        yield differences


def _in_order(systems: Mapping[System, object]) -> list[System]:
    """BM25 first, then role by role; the models in the order given."""
    return sorted(systems, key=lambda system: (system != BM25, ROLES.index(system.role)))


def _is_better(comparison: Comparison) -> bool:
    return comparison.difference > 0 and comparison.significant(LEVEL)


def _difference(comparison: Comparison) -> str:
    p = comparison.p
    text = "p < 0.0001" if p < 0.0001 else "p -" if p != p else f"p = {p:.4f}"
    return f"{comparison.difference:+.3f} ({text})"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns also line up as plain text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |"
        for row in [header, rule, *rows]
    )
