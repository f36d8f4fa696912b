"""`python -m benchmarks.scale.picture RESULTS.json PICTURE.svg`: time against collection size.

One line a method, its name and its overlap with exhaustive search at the line's end; the paper's
figures (8.8 million passages on a GPU, arXiv 2502.05364, table 4) as crosses.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

PAPER = {"exhaustive": 1769.8, "Efficient 1": 59.6, "Efficient 2": 231.1}
PAPERS_DOCUMENTS = 8_841_823
INK = "#808080"
"""Read on white and on black alike; so are the colours."""
COLOURS = {"tangent": "#2a9d5c", "exhaustive": "#c8553d", "paper's walk": "#4f7cac"}
K = 10


def lines(results: dict[str, Any], vectors: str) -> dict[str, list[dict[str, Any]]]:
    """The measurements of each method at k = 10 over one format, smallest collection first."""
    found = defaultdict(list)
    for row in results["searching"]:
        if row["k"] == K and row["vectors"] == vectors:
            found[row["method"]].append(row)
    return {name: sorted(rows, key=lambda row: row["documents"]) for name, rows in found.items()}


def draw(results: dict[str, Any], vectors: str, picture: Path) -> None:
    """Draw the picture (SVG)."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    plt.rcParams.update({"font.size": 15, "svg.fonttype": "none", "text.color": INK})
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    for name, rows in lines(results, vectors).items():
        colour = next(c for start, c in COLOURS.items() if name.startswith(start))
        sizes = [row["documents"] for row in rows]
        axes.plot(
            sizes,
            [row["median_ms"] for row in rows],
            "o-" if name == "tangent" else "o--",
            color=colour,
            linewidth=3 if name == "tangent" else 1.5,
        )
        overlap = "" if name == "exhaustive" else f"\noverlap {rows[-1]['overlap']:.2f}"
        axes.annotate(
            f"{name}{overlap}",
            (sizes[-1], rows[-1]["median_ms"]),
            xytext=(12, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    for name, milliseconds in PAPER.items():
        axes.plot(PAPERS_DOCUMENTS, milliseconds, "x", color=INK, markersize=9)
        axes.annotate(
            f"paper, on a GPU:\n{name}",
            (PAPERS_DOCUMENTS, milliseconds),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            color=INK,
        )
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("documents", color=INK)
    axes.set_ylabel("milliseconds a query", color=INK)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _short(x)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.18)
    axes.tick_params(colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.grid(color=INK, alpha=0.25, linewidth=0.5)
    figure.savefig(picture, transparent=True)
    plt.close(figure)


def _short(number: float) -> str:
    if number >= 1e6:
        return f"{number / 1e6:g} million"
    return f"{number:,.0f}"


def main() -> None:
    """Read the results and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--vectors", default="hnsw", help="the format to draw")
    args = parser.parse_args()
    draw(json.loads(args.results.read_text()), args.vectors, args.picture)


if __name__ == "__main__":
    main()
