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
            RuntimeError: Even `least` are too many.
        """
        start = 0
        while start < count:
            end = min(count, start + (self._most or count))
            try:
                work(start, end)
            except RuntimeError as error:
                if end - start <= self._least or not _is_about_memory(error):
                    raise
                self._most = max(self._least, (end - start) // 2 // self._least * self._least)
                logger.warning(
                    "%s %s at once do not fit into the device's memory: going on with %s",
                    *(f"{end - start:,}", self._what, f"{self._most:,}"),
                )
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                if torch.backends.mps.is_available():
                    torch.mps.empty_cache()
                continue
            start = end


def _is_about_memory(error: RuntimeError) -> bool:
    """Whether a device has no room; not all of them have torch's own error for that."""
    said = str(error)
    known = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(text in said for text in known)
