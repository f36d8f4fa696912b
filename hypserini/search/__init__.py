"""Searching: the searcher, topics, runs and the candidates that Java hands out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypserini.search.searcher import Hit, Hits, LuceneHypencoderSearcher

__all__ = ["Hit", "Hits", "LuceneHypencoderSearcher"]


def __getattr__(name: str) -> object:
    # The searcher needs torch; topics and runs, which lie beside it, do not.
    if name in __all__:
        return getattr(import_module("hypserini.search.searcher"), name)
    raise AttributeError(f"module 'hypserini.search' has no attribute '{name}'")
