"""Pictures for a paper: the topics' differences, and overlap against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypserini.compare.pairs import Pair
from hypserini.compare.tradeoff import Point
from hypserini.errors import OutputError
from hypserini.formats.output import atomic_output

ENDINGS = (".svg", ".png", ".pdf")


def check_picture(path: str) -> None:
    """Raise OutputError where a picture of that name cannot be drawn; says what is missing."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise OutputError(f"{path} is no picture: end its name in {', '.join(ENDINGS)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"pictures need matplotlib: pip install 'hypserini[plot]', or leave {path} out."
        ) from error


def draw(pair: Pair, path: Path) -> None:
    """Draw the differences of the topics, the best for the second run first."""
    from matplotlib.figure import Figure

    differences = sorted((topic.difference for topic in pair.topics), reverse=True)
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    colours = ["#2a9d5c" if difference > 0 else "#c8553d" for difference in differences]
    axes.bar(range(len(differences)), differences, color=colours, width=0.9)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_ylabel(f"{pair.measure}: {pair.names[1]}\nminus {pair.names[0]}")
    axes.set_xlabel(f"{len(differences)} topics")
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    _save(figure, path)


def draw_tradeoff(points: Sequence[Point], k: int, path: Path) -> None:
    """Draw the overlap with exhaustive search, whose own point is the last, against its costs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    by_count, by_time = figure.subplots(1, 2, sharey=True)
    for axes, name, label in (
        (by_count, "evaluations", "documents scored a query"),
        (by_time, "milliseconds", "milliseconds a query"),
    ):
        *tangent, exact = [(getattr(point, name), point.overlap) for point in points]
        if tangent:
            axes.plot(*zip(*tangent, strict=True), "o-", color="#1a5fb4", label="tangent")
        axes.plot(*exact, "s", color="black", label="exhaustive")
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    by_count.set_ylabel(f"overlap@{k}")
    by_count.legend(loc="lower right", frameon=False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes, and text in an SVG stays text."""
    from matplotlib import rc_context

    date = {"Date": None} if path.suffix.lower() == ".svg" else None
    with rc_context({"svg.hashsalt": "hypserini", "svg.fonttype": "none"}):
        with atomic_output(path, "wb") as file:
            figure.savefig(file, format=path.suffix.lower()[1:], dpi=200, metadata=date)
