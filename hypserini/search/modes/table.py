"""The modes of searching by name: what the searcher dispatches to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypserini.search.modes.auto import AutoOptions, search_automatically
from hypserini.search.modes.exhaustive import ExhaustiveOptions, search_exhaustively
from hypserini.search.modes.graph import GraphOptions, search_by_graph
from hypserini.search.modes.rerank import RerankOptions, rerank
from hypserini.search.modes.tangent import TangentOptions, search_by_tangents
from hypserini.search.ranking import Hits


@dataclass(frozen=True, slots=True)
class Mode:
    """One kind of search.

    Attributes:
        options: The frozen dataclass of its options; made without arguments, its defaults.
        search: `(index, batch, k, scorer, options, filter) -> list[Hits]`, one a query.
    """

    options: type[Any]
    search: Callable[..., list[Hits]]


MODES: dict[str, Mode] = {
    "auto": Mode(AutoOptions, search_automatically),
    "exhaustive": Mode(ExhaustiveOptions, search_exhaustively),
    "tangent": Mode(TangentOptions, search_by_tangents),
    "graph": Mode(GraphOptions, search_by_graph),
    "rerank": Mode(RerankOptions, rerank),
}


def mode_named(name: str) -> Mode:
    """The mode of a name.

    Raises:
        ValueError: There is no such mode; the message lists them.
    """
    try:
        return MODES[name]
    except KeyError:
        raise ValueError(f"no mode {name!r}: choose from {', '.join(MODES)}") from None
