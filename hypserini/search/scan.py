"""Every vector of an index, once, in blocks: what is scored exhaustively, or loaded."""

from __future__ import annotations

from hypserini.index.reader import Index
from hypserini.search.candidates import Candidates
from hypserini.search.filters import Filter, java_of

ROWS_ON_CPU = 1024
ROWS_ON_GPU = 16384
"""Documents handed out at once: blocks that fit the caches of a CPU, or keep a GPU busy."""


class Scan(Candidates):
    """Hands out every live vector of an index once: exhaustive search, exact.

    Args:
        index: An opened index.
        queries: Queries scored together.
        k: Documents kept of each; more than there are keeps all of them.
        block: Documents handed out at once.
        filter: Leaves out all other documents; None: all are scored.
    """

    def __init__(
        self,
        index: Index,
        queries: int,
        k: int,
        block: int = ROWS_ON_CPU,
        filter: Filter | None = None,
    ) -> None:
        if min(queries, k, block) < 1:
            raise ValueError(f"queries ({queries}), k ({k}) and block ({block}) must be at least 1")
        super().__init__("Scan", index, queries, block, queries, k, block, java_of(filter))

    def skip(self, count: int) -> None:
        """Pass over so many of the documents that would be handed out next."""
        self._java.skip(count)
