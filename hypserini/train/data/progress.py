"""What is said while data are checked before training."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import TracebackType

logger = logging.getLogger(__name__)

# A check that takes no longer is not announced.
_LARGE = 64 << 20


class Checking:
    """Logs what is checked in a file, and when it is done how many lines were, and how fast.

    Args:
        name: the file, or the name of a data set.
        what: what is checked, as the object of a sentence.
        unit: what is counted.

    Attributes:
        count: how many were checked; to be set before the end.
    """

    def __init__(self, name: str | Path, what: str, unit: str = "lines") -> None:
        self.name = name
        self.what = what
        self.unit = unit
        self.count = 0

    def __enter__(self) -> Checking:
        self._start = time.perf_counter()
        path = Path(self.name)
        if path.is_file() and (size := path.stat().st_size) > _LARGE:
            logger.info(
                "Checking %s (%.1f GB) before training: %s.", self.name, size / 1e9, self.what
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            seconds = time.perf_counter() - self._start
            logger.info(
                "Checked %s: %s in %s %s (%.1f s, %s %s/s).",
                self.name,
                self.what,
                f"{self.count:,}",
                self.unit,
                seconds,
                f"{self.count / max(seconds, 1e-6):,.0f}",
                self.unit,
            )
