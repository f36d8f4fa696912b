"""Reports over several runs: side by side, topic by topic, and as JSON."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypserini.errors import RunError
from hypserini.evaluate.measures import Measure, Scores, default_measures, evaluate, mean
from hypserini.evaluate.significance import Comparison, compare
from hypserini.formats.qrels import Qrels
from hypserini.formats.runs import Run, read_run

logger = logging.getLogger(__name__)

LEVEL = 0.05


@dataclass(frozen=True)
class Report:
    """Runs evaluated over the same judgements.

    Attributes:
        qrels: the judgements.
        measures: the columns.
        scores: run name -> measure -> topic id -> value, in the order given.
        baseline: the run the others are compared with, None where there is one run only.
        comparisons: run name -> measure -> difference from the baseline.
    """

    qrels: Qrels
    measures: list[Measure]
    scores: dict[str, Scores]
    baseline: str | None
    comparisons: dict[str, dict[Measure, Comparison]]


def make_report(
    qrels: Qrels,
    runs: Sequence[str | Path],
    measures: Sequence[Measure] = (),
    baseline: str | Path | None = None,
    keep: dict[str, Run] | None = None,
) -> Report:
    """Evaluate run files; topics that a run misses count 0 and are logged.

    Args:
        qrels: judgements.
        runs: run files.
        measures: default: the paper's for these judgements.
        baseline: one of the runs, or another file; default: the first run.
        keep: where the runs themselves go, by their files: a pipe is read but once.

    Raises:
        RunError: a run that is missing, malformed, or has no judged topic.
        MeasureError: an unknown measure.
    """
    wanted = list(dict.fromkeys(measures or default_measures(qrels)))
    paths = [str(run) for run in runs]
    if baseline is not None and str(baseline) not in paths:
        paths.insert(0, str(baseline))
    if len(set(paths)) < len(paths):
        raise RunError("the same run is given twice: name each run once.")
    labels = _labels(paths)
    scores = {label: _evaluate(qrels, path, wanted, keep) for path, label in labels.items()}
    base = labels[str(baseline) if baseline is not None else paths[0]] if len(paths) > 1 else None
    comparisons: dict[str, dict[Measure, Comparison]] = {}
    if base is not None:
        others = [label for label in scores if label != base]
        comparisons = {label: {} for label in others}
        for measure in wanted:
            results = compare(scores[base][measure], [scores[label][measure] for label in others])
            for label, result in zip(others, results, strict=True):
                comparisons[label][measure] = result
    return Report(qrels, wanted, scores, base, comparisons)


def as_table(report: Report) -> str:
    """Return the means as a table, and below it the differences from the baseline."""
    rows = [["", *(str(measure) for measure in report.measures)]]
    for label, scores in report.scores.items():
        compared = report.comparisons.get(label, {})
        cells = [
            f"{mean(scores[measure]):.4f}"
            + ("*" if measure in compared and compared[measure].significant(LEVEL) else " ")
            for measure in report.measures
        ]
        rows.append([label, *cells])
    lines = [f"{report.qrels.name}: means over {len(report.qrels)} judged topics", ""]
    lines += _align(rows)
    if report.baseline is not None:
        count = len(report.comparisons)
        corrected = f", Holm-corrected over {count} runs" if count > 1 else ""
        lines += ["", f"Difference from {report.baseline} (paired t-test, two-sided{corrected}):"]
        rows = [["", *(str(measure) for measure in report.measures)]]
        for label, compared in report.comparisons.items():
            rows.append([label, *(_difference(compared[measure]) for measure in report.measures)])
        lines += ["", *_align(rows), "", f"* p < {LEVEL}"]
    return "\n".join(lines)


def as_tsv(report: Report) -> str:
    """Return the values topic by topic: measure, topic id, and a column for each run."""
    lines = ["\t".join(["measure", "qid", *report.scores])]
    for measure in report.measures:
        for qid in report.qrels.judgements:
            values = (f"{scores[measure][qid]:.4f}" for scores in report.scores.values())
            lines.append("\t".join([str(measure), qid, *values]))
    return "\n".join(lines) + "\n"


def as_json(report: Report, per_query: bool = False) -> dict[str, Any]:
    """Return the report as what `json.dumps` takes; values are not rounded, and p may be None."""
    runs = {}
    for label, scores in report.scores.items():
        runs[label] = {
            str(measure): {
                "mean": mean(scores[measure]),
                **({"topics": scores[measure]} if per_query else {}),
                **_comparison_json(report.comparisons.get(label, {}).get(measure)),
            }
            for measure in report.measures
        }
    return {
        "qrels": report.qrels.name,
        "topics": len(report.qrels),
        "baseline": report.baseline,
        "runs": runs,
    }


def _comparison_json(comparison: Comparison | None) -> dict[str, float | None]:
    if comparison is None:
        return {}
    p = None if comparison.p != comparison.p else comparison.p
    return {"difference": comparison.difference, "p": p}


def _evaluate(
    qrels: Qrels, path: str, measures: Sequence[Measure], keep: dict[str, Run] | None
) -> Scores:
    run = read_run(path)
    if keep is not None:
        keep[path] = run
    try:
        scores = evaluate(qrels, run, measures)
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    missing = [qid for qid in qrels.judgements if qid not in run]
    if missing:
        some = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        logger.warning(
            "%s misses %d of %d judged topics, which count as 0: %s",
            path,
            len(missing),
            len(qrels),
            some,
        )
    return scores


def _labels(paths: Sequence[str]) -> dict[str, str]:
    """Name runs by their files, or by their paths where two files are named alike."""
    names = [Path(path).name for path in paths]
    return {
        path: name if names.count(name) == 1 else path
        for path, name in zip(paths, names, strict=True)
    }


def _difference(comparison: Comparison) -> str:
    p = comparison.p
    text = "p -" if p != p else "p<0.0001" if p < 0.0001 else f"p={p:.4f}"
    return f"{comparison.difference:+.4f} {text}"


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
