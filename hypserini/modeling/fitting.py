"""Work that is done in smaller parts where a device's memory does not suffice for all at once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

logger = logging.getLogger(__name__)


class Fitting:
    """Halves what is done at once when a device runs out of memory, says so, and keeps to that.

    Args:
        what: What is counted, for the log: `queries`, `documents`.
        least: Fewer are not tried; parts have a multiple of so many.
    """

    def __init__(self, what: str, least: int = 1) -> None:
        self._what = what
        self._least = least
        self._most: int | None = None

    def run(self, work: Callable[[int, int], object], count: int) -> None:
        """Call `work(start, end)` for parts that make up 0 to `count`, in order.

        Raises:
            torch.OutOfMemoryError: Even `least` are too many.
        """
        start = 0
        while start < count:
            end = min(count, start + (self._most or count))
            try:
                work(start, end)
            except torch.OutOfMemoryError:
                if end - start <= self._least:
                    raise
                self._most = max(self._least, (end - start) // 2 // self._least * self._least)
                logger.warning(
                    "%s %s at once do not fit into the device's memory: going on with %s",
                    *(f"{end - start:,}", self._what, f"{self._most:,}"),
                )
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            start = end
