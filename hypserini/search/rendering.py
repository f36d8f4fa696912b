"""What a notebook draws of rankings and explanations: small HTML, in the page's own colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

RAISES, LOWERS = "46, 160, 67", "219, 68, 55"
"""Green and red, laid transparently over the page's background: legible in light and in dark."""


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """A table of texts with a line below it."""
    lines = "".join([_row("th", head), *(_row("td", row) for row in rows)])
    return f"<table>{lines}</table><small>{escape(caption)}</small>"


def words_html(words: Iterable[tuple[str, float]]) -> str:
    """Words in their order; what raises is green, what lowers red, and the strongest deepest."""
    pairs = list(words)
    most = max((abs(value) for _, value in pairs), default=0.0) or 1.0
    return " ".join(
        f'<span style="background: rgba({RAISES if value > 0 else LOWERS}, '
        f'{0.6 * abs(value) / most:.2f})" title="{value:+.4f}">{escape(text)}</span>'
        for text, value in pairs
    )


def _row(kind: str, cells: Iterable[str]) -> str:
    drawn = (f'<{kind} style="text-align: left">{escape(cell)}</{kind}>' for cell in cells)
    return f"<tr>{''.join(drawn)}</tr>"
