"""What is shown while an index is built: one bar with the documents, their rate, the time left and
what is being done."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tqdm.auto import tqdm


class BuildProgress:
    """The bar of a build; a context manager.

    The rate is that of the whole build: documents are encoded the longest first, so that the rate
    of the last few batches says little of the time left.

    Args:
        done: Documents that were indexed before.
        total: Documents in all, if that is known.
        shown: Draw it.
    """

    def __init__(self, done: int, total: int | None = None, *, shown: bool = True) -> None:
        self._bar = tqdm(
            desc="indexing",
            unit=" docs",
            initial=done,
            total=total,
            disable=not shown,
            smoothing=0,
            dynamic_ncols=True,
        )

    def phase(self, name: str) -> None:
        """Say what is being done: reading, encoding, writing, committing or merging."""
        self._bar.set_description(name)

    def expect(self, total: int | None) -> None:
        """Say how many documents there will be, as far as that is known."""
        self._bar.total = total

    def advance(self, documents: int) -> None:
        """So many more are done."""
        self._bar.update(documents)

    def merging(self, documents: int) -> None:
        """Show that segments of so many documents are being merged; for `finish_merges`."""
        self._bar.set_description(f"merging {documents:,} docs")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
