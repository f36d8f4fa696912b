"""The page of a comparison: one HTML file that asks no other host for anything."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from hypserini.compare.pairs import Pair

SNIPPET = 300
"""Characters shown of a document's text."""

BAR_WIDTH, CHART_HEIGHT = 8, 160
"""Of the chart of topics, in its own units."""


def render(pair: Pair) -> str:
    """The page. Whatever queries and documents hold stays text: all of it is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["snippet"] = _snippet
    source = (files("hypserini.compare") / "page.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(pair=pair, bars=_bars(pair), chart=CHART_HEIGHT)


def _snippet(text: str | None) -> str:
    words = " ".join((text or "").split())
    return words if len(words) <= SNIPPET else words[: SNIPPET - 1] + "…"


def _bars(pair: Pair) -> list[tuple[float, float, float, str, float]]:
    """Of each topic, the best for the second run first: x, y, height, query id, difference."""
    topics = sorted(pair.topics, key=lambda topic: (-topic.difference, topic.qid))
    most = max((abs(topic.difference) for topic in topics), default=0.0) or 1.0
    middle = CHART_HEIGHT / 2
    return [
        (
            BAR_WIDTH * number,
            middle - max(topic.difference, 0) / most * middle,
            abs(topic.difference) / most * middle,
            topic.qid,
            topic.difference,
        )
        for number, topic in enumerate(topics)
    ]
