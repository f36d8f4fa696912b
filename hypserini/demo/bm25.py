"""BM25 over the text in one of our indexes, by Anserini's own searcher."""

from __future__ import annotations

import os
from typing import Any

from hypserini import jvm


class Bm25:
    """Anserini's SimpleSearcher with its defaults (k1 0.9, b 0.4), which Pyserini wraps too.

    Used directly because importing Pyserini's searcher takes seconds, and in 2.4 the web.
    """

    def __init__(self, index: str | os.PathLike[str]) -> None:
        self._searcher: Any = jvm.java_class("io.anserini.search.SimpleSearcher")(str(index))

    def search(self, query: str, k: int = 10) -> list[tuple[str, float]]:
        """The `k` best documents for a text: docid and score, best first."""
        return [(hit.docid, float(hit.score)) for hit in self._searcher.search(query, k)]

    def close(self) -> None:
        """Close the index."""
        self._searcher.close()
