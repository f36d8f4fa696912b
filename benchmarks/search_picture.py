"""Draws what the search benchmark measured."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.search_measured import Measured

logger = logging.getLogger(__name__)


def draw(results: Sequence[Measured], picture: Path) -> None:
    """Overlap against evaluations and against milliseconds, trained q-nets, a row a depth."""
    try:
        import matplotlib
    except ImportError:
        print(f"matplotlib is not installed: {picture} is not drawn")
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "hypserini"
    from matplotlib import pyplot

    trained = [r for r in results if r.q_nets == "trained"]
    sizes = sorted({r.documents for r in trained})
    shown = max((size for size in sizes if size <= 50_000), default=sizes[0])
    depths = sorted({r.depth for r in trained})
    figure, rows = pyplot.subplots(
        len(depths), 3, figsize=(13, 3.4 * len(depths)), squeeze=False, sharey="row"
    )
    for depth, axes in zip(depths, rows, strict=True):
        group = [r for r in trained if r.depth == depth]
        here = [r for r in group if r.documents == shown]
        _curves(axes[0], here, "evaluations", "q-net evaluations")
        _curves(axes[1], here, "milliseconds", "milliseconds a query")
        _growth(axes[2], group, sizes)
        axes[0].set_ylabel(f"overlap@{depth}")
        axes[0].set_title(f"{shown:,} documents", fontsize=9)
        axes[2].set_title("tangent search as the collection grows", fontsize=9)
    # The middle panels hold every method, the dot products included.
    handles, labels = rows[0][1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, ncols=5, loc="lower center")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None})
    print(f"\ndrawn: {picture}")


def _curves(axis: Any, group: Sequence[Measured], what: str, label: str) -> None:
    for number, method in enumerate(dict.fromkeys(r.method for r in group)):
        points = sorted(
            (getattr(r, what), r.overlap)
            for r in group
            if r.method == method and getattr(r, what) > 0
        )
        if points:
            style = "o--" if method.startswith("dot product") else "o-"
            axis.plot(*zip(*points, strict=True), style, ms=4, color=f"C{number}", label=method)
    axis.set_xscale("log")
    axis.set_xlabel(label)
    axis.grid(alpha=0.3)


def _growth(axis: Any, group: Sequence[Measured], sizes: Sequence[int]) -> None:
    first = {r.documents: r for r in group if r.method == "tangent" and r.setting == "defaults"}
    points = [first[size] for size in sizes if size in first]
    axis.plot([r.documents for r in points], [r.overlap for r in points], "o-")
    for r in points:
        axis.annotate(
            f"{r.evaluations:,.0f} scored",
            (r.documents, r.overlap),
            xytext=(0, -12),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    axis.margins(x=0.15)
    axis.set_xscale("log")
    axis.set_xlabel("documents")
    axis.grid(alpha=0.3)
