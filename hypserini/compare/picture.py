"""The topics' differences as a picture for a paper."""

from __future__ import annotations

from pathlib import Path

from hypserini.compare.pairs import Pair
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
            "pictures need matplotlib: pip install 'hypserini[plot]', or leave --picture out."
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
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    with atomic_output(path, "wb") as file:
        figure.savefig(file, format=path.suffix.lower()[1:], dpi=200)
