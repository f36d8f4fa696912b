"""What stands beside an output while it is written: `.NAME.PID-N.part`, a file or a folder.

A process holds the lock of its parts, so what a killed one left is told from what is being written,
by other machines and containers over the same disk, too.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from hypserini.formats.disk import try_lock

LONGEST = 200
"""Bytes of an output's name that go into its part's; file systems take 255 in all."""

_numbers = count()


def new_path(place: Path) -> Path:
    """A name beside an output that no other part of this process has."""
    return place.with_name(f"{_stem(place)}{os.getpid()}-{next(_numbers)}.part")


def new_file(place: Path) -> tuple[Path, int]:
    """Make the part of a file; return it with an open descriptor, whose end is the lock's."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = new_path(place)
        try:
            descriptor = os.open(path, flags, 0o666)
        except FileExistsError:
            continue  # left by a process of our number
        if _is_kept(path, descriptor):
            return path, descriptor


def new_folder(place: Path) -> tuple[Path, int | None]:
    """Make the part of a folder; return it with its descriptor, None where folders have none."""
    while True:
        path = new_path(place)
        try:
            path.mkdir()
        except FileExistsError:
            continue
        if sys.platform == "win32":
            return path, None
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        if _is_kept(path, descriptor):
            return path, descriptor


def _is_kept(path: Path, descriptor: int) -> bool:
    """Lock a new part; whether it is still there, or else was cleaned before the lock was had."""
    try:
        locked = try_lock(descriptor)
        if locked and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return True
    except FileNotFoundError:
        pass
    except OSError:
        return True  # there are no locks here, and so nobody cleans
    os.close(descriptor)
    return False


@contextmanager
def held(descriptor: int) -> Iterator[None]:
    """Keep a part's lock while its descriptor is closed and the part renamed."""
    if sys.platform == "win32":
        yield  # what is open cannot be renamed there
        return
    copy = os.dup(descriptor)
    try:
        yield
    finally:
        os.close(copy)


def clean(place: Path) -> None:
    """Remove the parts of an output whose processes are gone; those of others stay."""
    if not place.parent.is_dir():
        return
    for path, pid in _parts(place):
        if (pid == os.getpid() or not _is_alive(pid)) and _lock_is_free(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def in_use(place: Path) -> bool:
    """Whether another process, or a thread, is making this folder."""
    return any(_lock_is_free(path) is False for path, _ in _parts(place))


def _stem(place: Path) -> str:
    name = place.name
    if len(os.fsencode(name)) > LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{name}."


def _parts(place: Path) -> Iterator[tuple[Path, int]]:
    """The parts of an output with the numbers of their processes."""
    pattern = re.compile(re.escape(_stem(place)) + r"(\d{1,9})(-\d+)?\.part")
    for name in os.listdir(place.parent):
        if found := pattern.fullmatch(name):
            yield place.with_name(name), int(found[1])


def _is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine; on Windows the lock alone tells."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _lock_is_free(path: Path) -> bool | None:
    """Whether nobody holds a part's lock; None if that cannot be told."""
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        return None
    try:
        return try_lock(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
