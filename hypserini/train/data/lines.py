"""Lines of large files by number: where each begins is known, the file itself is mapped."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import mmap
import shutil
import zlib
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from hypserini.errors import OutputError, TrainingError
from hypserini.files import atomic_output
from hypserini.jar import cache_folder

logger = logging.getLogger(__name__)


class LineFile:
    """The lines of a file, blank ones left out.

    The file is mapped when a line is first asked for, in each process anew, and never held in
    memory; pickling copies the offsets alone.

    Args:
        path: the file; what is in a .gz is unpacked first.
        every: only the beginning of every so many lines is kept. Short lines make do with less
            than eight bytes each.
    """

    def __init__(self, path: str | Path, *, every: int = 1) -> None:
        self.path = Path(path)
        self.plain = unpacked(self.path)
        self.every = every
        self.count = 0
        self._offsets: array[int] = array("q")
        self._state = self._current_state()
        self._map: mmap.mmap | None = None

    def __len__(self) -> int:
        return self.count

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}

    def scan(self) -> Iterator[tuple[int, int, bytes]]:
        """Read all lines once, and keep where they begin.

        Yields:
            (line number in the file from 1, offset, the line with its line break).

        Raises:
            TrainingError: the file cannot be read, or holds no line but blank ones.
        """
        self.count, self._offsets = 0, array("q")
        try:
            with open(self.plain, "rb") as file:
                offset = 0
                for number, line in enumerate(file, 1):
                    if not line.isspace():
                        if self.count % self.every == 0:
                            self._offsets.append(offset)
                        self.count += 1
                        yield number, offset, line
                    offset += len(line)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if not self.count:
            raise TrainingError(f"{self.path} is empty.")

    def line(self, position: int) -> bytes:
        """The line at a position among those that are not blank, without its line break."""
        start = self._offsets[position // self.every]
        for _ in range(position % self.every):
            start = self._next(start)
        view = self._mapped()
        end = view.find(b"\n", start)
        return view[start : end if end >= 0 else len(view)].rstrip(b"\r")

    def number(self, position: int) -> int:
        """The number, from 1, that a line has in the file; reads all lines before it."""
        numbers = (number for number, _, _ in LineFile(self.path).scan())
        return next(islice(numbers, position, None))

    def _next(self, start: int) -> int:
        """Where the line after the one at `start` begins, blank ones passed over."""
        view = self._mapped()
        start = view.find(b"\n", start) + 1
        while (end := view.find(b"\n", start)) >= 0 and not view[start:end].strip():
            start = end + 1
        return start

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            if self._current_state() != self._state:
                raise TrainingError(
                    f"{self.path} was changed after it had been checked: start training anew."
                )
            with open(self.plain, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def _current_state(self) -> tuple[int, int]:
        try:
            stat = self.plain.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return stat.st_size, stat.st_mtime_ns


def parse_json(line: bytes) -> Any:
    """Read a line of JSON; a TrainingError says what is wrong with it, but not the place."""
    try:
        return json.loads(line)
    except UnicodeDecodeError as error:
        raise not_utf8(error) from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at").removesuffix(" starting")
        raise TrainingError(f"not JSON ({what} at column {error.colno}).") from error
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"not JSON ({error}).") from error


def not_utf8(error: UnicodeDecodeError) -> TrainingError:
    """What to raise for a line that cannot be decoded."""
    byte = error.object[error.start]
    return TrainingError(f"not UTF-8 (byte {byte:#04x}): convert the file to UTF-8.")


def unpacked(path: Path) -> Path:
    """Return a file that can be read at any place: `path`, or what is in it when it is a .gz.

    What is unpacked is kept in the cache ($HYPSERINI_CACHE, or ~/.cache/hypserini), so that it is
    done once for all processes and runs.

    Raises:
        TrainingError: the file is missing or damaged, or cannot be unpacked.
    """
    if path.suffix != ".gz":
        return path
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()
    digest = hashlib.blake2b(key, digest_size=8).hexdigest()
    place = cache_folder() / "training" / f"{digest}-{path.stem}"
    if place.is_file():
        return place
    logger.info("Unpacking %s into %s.", path, place)
    try:
        with gzip.open(path, "rb") as packed, atomic_output(place, "wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TrainingError(
            f"{path} is a damaged gzip file ({error}): obtain or make it again."
        ) from error
    except (OSError, OutputError) as error:
        if isinstance(error, OSError) and error.filename == str(path):
            raise _unreadable(path, error) from error
        raise TrainingError(
            f"{path} cannot be unpacked into {place.parent} ({error}): set HYPSERINI_CACHE to a "
            "folder with room, or unpack it yourself."
        ) from error
    return place


def _unreadable(path: Path, error: OSError) -> TrainingError:
    return TrainingError(
        f"the training data {path} cannot be read ({error.strerror or error}): mend data_config."
    )
