"""Lines of large files by number: where each begins is known, the text stays on the disk.

They are checked whole before training; `Checking` says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from array import array
from collections.abc import Iterator
from io import FileIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from hypserini.errors import OutputError, TrainingError
from hypserini.formats.output import atomic_output
from hypserini.formats.reading import bounded_lines, is_packed, read_chunks, reading
from hypserini.jvm.jar import cache_folder

logger = logging.getLogger(__name__)

WHAT = "training data file"


class LineFile:
    """The lines of a file, blank ones left out.

    The file is opened when a line is first asked for, in each process anew. Memory holds, and
    pickling copies, where lines begin: eight bytes for each, or for each of `every`.

    Args:
        path: the file; what is in a .gz is unpacked first.
        every: only the beginning of every so many lines is kept, for short lines.
    """

    def __init__(self, path: str | Path, *, every: int = 1) -> None:
        self.path = Path(path)
        self.every = every
        self._plain = unpacked(self.path)
        self._count = 0
        self._starts: array[int] = array("q")
        self._checked: tuple[int, int] | None = None
        self._file: FileIO | None = None
        self._owner = 0

    def __len__(self) -> int:
        return self._count

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def scan(self) -> Iterator[tuple[int, bytes]]:
        """Read all lines once, and keep where they begin.

        Yields:
            The line's number in the file, from 1, and the line with its line break.

        Raises:
            TrainingError: the file cannot be read, holds no line but blank ones, or one that is
                too long.
        """
        self._count, self._starts = 0, array("q")
        with reading(self.path, TrainingError, WHAT), open(self._plain, "rb") as file:
            self._checked = _state(file)
            start = 0
            for number, line in bounded_lines(file, self.path, TrainingError):
                if not line.isspace():
                    if self._count % self.every == 0:
                        self._starts.append(start)
                    self._count += 1
                    yield number, line
                start += len(line)
        if not self._count:
            raise TrainingError(f"{self.path} is empty.")
        self._starts.append(start)

    def line(self, position: int) -> bytes:
        """The line at a position among those that are not blank, without its line break.

        Raises:
            TrainingError: the file is gone, or is no longer what it was when it was read whole.
        """
        block = position // self.every
        lines = self._read(self._starts[block], self._starts[block + 1]).split(b"\n")
        lines = [line for line in lines if line and not line.isspace()]
        return lines[position % self.every].rstrip(b"\r")

    def number(self, position: int) -> int:
        """The number, from 1, that a line has in the file; reads all lines before it."""
        numbers = (number for number, _ in LineFile(self.path).scan())
        return next(islice(numbers, position, None))

    def _read(self, start: int, end: int) -> bytes:
        with reading(self.path, TrainingError, WHAT):
            # A forked process would share the place in the file with its parent.
            if self._file is None or self._owner != os.getpid():
                self._file = open(self._plain, "rb", buffering=0)  # noqa: SIM115
                self._owner = os.getpid()
            if _state(self._file) != self._checked:
                raise TrainingError(
                    f"{self.path} was changed after it had been checked: start training anew."
                )
            self._file.seek(start)
            return self._file.read(end - start)


def _state(file: IO[bytes] | FileIO) -> tuple[int, int]:
    """What tells that a file was changed."""
    stat = os.fstat(file.fileno())
    return stat.st_size, stat.st_mtime_ns


def unpacked(path: Path) -> Path:
    """Return a file that can be read at any place: `path`, or what is in it when it is a .gz.

    What is unpacked is kept in the cache ($HYPSERINI_CACHE, or ~/.cache/hypserini), so that it is
    done once for all processes and runs.

    Raises:
        TrainingError: the file is missing or damaged, or cannot be unpacked.
    """
    if not is_packed(path):
        return path
    with reading(path, TrainingError, WHAT):
        stat = path.stat()
    key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode(errors="surrogateescape")
    digest = hashlib.blake2b(key, digest_size=8).hexdigest()
    place = cache_folder() / "training" / f"{digest}-{path.stem}"
    if place.is_file():
        return place
    logger.info("Unpacking %s into %s.", path, place)
    try:
        with atomic_output(place, "wb") as plain:
            for chunk in read_chunks(path, TrainingError, WHAT):
                plain.write(chunk)
    except (OSError, OutputError) as error:
        raise TrainingError(
            f"{path} cannot be unpacked into {place.parent} ({error}): set HYPSERINI_CACHE to a "
            "folder with room, or unpack it yourself."
        ) from error
    return place


# A check that takes no longer is not announced.
_ANNOUNCED = 64 << 20


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
        is_file = os.path.isfile(self.name)
        if is_file and (size := os.path.getsize(self.name)) > _ANNOUNCED:
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
