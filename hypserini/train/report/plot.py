"""A picture of a run: its loss, and what was validated, by step."""

from __future__ import annotations

import logging
from pathlib import Path

from hypserini.formats.output import atomic_output
from hypserini.train.report.history import History, losses, measures

logger = logging.getLogger(__name__)

NAME = "training.svg"


def plot_history(history: History, path: str | Path) -> bool:
    """Draw the Trainer's log as SVG.

    Args:
        history: the Trainer's log.
        path: the file to write.

    Returns:
        Whether it was drawn; without matplotlib, or with nothing to draw, it is not.
    """
    panels = {"loss": losses(history), "validation": measures(history)}
    panels = {title: curves for title, curves in panels.items() if curves}
    if not panels:
        return False
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.info("No %s is drawn: pip install 'hypserini[plot]'.", NAME)
        return False
    figure = Figure(figsize=(7, 2.8 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (title, drawn) in zip(axes, panels.items(), strict=True):
        for name, points in drawn.items():
            steps, values = zip(*points, strict=True)
            marker = "o" if len(points) < 40 else None
            axis.plot(steps, values, label=name, marker=marker, markersize=3)
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[-1].set_xlabel("step")
    with atomic_output(path, "wb") as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
    return True
