"""The results as Markdown and as one HTML page that asks no other host for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from hypserini.reproduce.matrix import Matrix
from hypserini.reproduce.running import NO_FIGURE, OFF, OK, P_MRR, Outcome, Value

ALL_OK, SOMETHING_OFF, NOT_RUN = 0, 1, 2
"""Exit statuses: the gravest of what happened, and a figure that is off is graver than none."""

COLUMNS = ("row", "model", "measure", "expected", "here", "result", "source")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table.

    Attributes:
        cells: its texts, by COLUMNS.
        kind: `ok`, `off`, `none` (no figure at hand) or `not-run`.
    """

    cells: tuple[str, ...]
    kind: str


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """1 if a figure is off, else 2 if a row could not be run, else 0."""
    if any(value.result == OFF for outcome in outcomes for value in outcome.values):
        return SOMETHING_OFF
    return NOT_RUN if any(outcome.why_not for outcome in outcomes) else ALL_OK


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many figures came out, in one line."""
    results = [value.result for outcome in outcomes for value in outcome.values]
    not_run = sum(outcome.why_not is not None for outcome in outcomes)
    return (
        f"{len(outcomes)} rows: {results.count(OK)} figures OK, {results.count(OFF)} off, "
        f"{results.count(NO_FIGURE)} without a figure at hand; {not_run} rows not run"
    )


def result_of(value: Value) -> str:
    """OK, off by how much, or that no figure is at hand."""
    return (
        f"off by {_number(value, value.difference, '+')}" if value.result == OFF else value.result
    )


def lines_of(outcome: Outcome) -> list[Line]:
    """The lines of a row: one for each measure, or one that says why it could not be run."""
    name = outcome.row.name
    if outcome.why_not:
        figures = ", ".join(f"{each.measure} {each.value:g}" for each in outcome.row.expected)
        sources = "; ".join(dict.fromkeys(each.source for each in outcome.row.expected))
        result = f"not run: {outcome.why_not}"
        cells = (name, outcome.model, "", figures or NO_FIGURE, "", result, sources)
        return [Line(cells, "not-run")]
    kinds = {OK: "ok", OFF: "off", NO_FIGURE: "none"}
    lines = []
    for value in outcome.values:
        expected, source = "", outcome.row.note
        if value.expected is not None:
            tolerance = f"{value.expected.tolerance:g}"
            expected, source = f"{value.expected.value:g} ± {tolerance}", value.expected.source
        here = _number(value, value.value)
        cells = (name, outcome.model, value.measure, expected, here, result_of(value), source)
        lines.append(Line(cells, kinds[value.result]))
    return lines


def as_markdown(matrix: Matrix, outcomes: Sequence[Outcome], ran: Sequence[str]) -> str:
    """The report as Markdown: a table for each title, and the commands that were run."""
    parts = ["# Reproduction", "", f"{summary(outcomes)}.", ""]
    for title, lines in _tables(matrix, outcomes):
        parts += [f"## {title}", "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
        parts += [_row(line.cells) for line in lines]
        parts.append("")
    parts += ["## Commands", "", "```", *(ran or ["# everything was there"]), "```", ""]
    return "\n".join(parts)


def as_html(matrix: Matrix, outcomes: Sequence[Outcome], ran: Sequence[str]) -> str:
    """The report as a page. Whatever names and messages hold stays text: all of it is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    source = (files("hypserini.reproduce") / "report.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        summary=summary(outcomes), columns=COLUMNS, tables=_tables(matrix, outcomes), ran=ran
    )


def _tables(matrix: Matrix, outcomes: Sequence[Outcome]) -> list[tuple[str, list[Line]]]:
    tables: dict[str, list[Line]] = {}
    for outcome in outcomes:
        tables.setdefault(matrix.titles[outcome.row.table], []).extend(lines_of(outcome))
    return list(tables.items())


def _number(value: Value, number: float, sign: str = "") -> str:
    return f"{number:{sign}.{1 if value.measure == P_MRR else 4}f}"


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return "| " + " | ".join(escaped) + " |"
