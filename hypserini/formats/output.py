"""Writing files: outputs that appear whole or not at all, or say why they cannot."""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from hypserini.errors import OutputError
from hypserini.formats import parts
from hypserini.formats.disk import sync

READER_SECONDS = 30
"""How long a FIFO is waited for to be read."""


def destination(path: str | os.PathLike[str]) -> Path:
    """Where an output lies: in the home folder for `~`, and behind all links, which stay."""
    return Path(os.path.realpath(os.path.expanduser(path)))


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """The open descriptor that a path stands for, as /dev/stdout and bash's /dev/fd/63 do."""
    folders = {os.path.realpath(folder) for folder in ("/dev/fd", "/proc/self/fd")}
    at = os.path.abspath(os.path.expanduser(path))
    for _ in range(40):  # links; as many as Linux follows
        folder, name = os.path.split(at)
        if name.isdigit() and os.path.realpath(folder) in folders:
            return int(name)
        if not os.path.islink(at):
            break
        at = os.path.join(folder, os.readlink(at))
    return None


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path is written straight into: a device, a FIFO, or an open descriptor."""
    place = destination(path)
    return descriptor_of(path) is not None or (place.exists() and not _is_plain(place))


def _is_plain(place: Path) -> bool:
    return place.is_file() or place.is_dir()


@contextmanager
def told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system says while `path` is written into an error of the user's."""
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Make the error that says why an output cannot be written."""
    return OutputError(
        f"cannot write {path} ({error.strerror or error}): make room or give access there, or "
        "choose another output path."
    )


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return where a file can be written for `path`, making its folder; call it before long work.

    Raises:
        OutputError: the path is a folder, or it, or a file beside it, cannot be made or written to.
    """
    with told(path):
        if is_stream(path):
            return _check_stream(path)
        place = destination(path)
        if not str(path) or place.is_dir():
            raise OutputError(
                f"{str(path) or 'an empty name'} is a folder: give the name of a file to write."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, "it is write-protected")
        # os.access answers for root and for read-only mounts alike only when it is tried.
        with tempfile.TemporaryFile(dir=place.parent):
            return place


def _check_stream(path: str | os.PathLike[str]) -> Path:
    descriptor = descriptor_of(path)
    if descriptor is None:
        if not os.access(destination(path), os.W_OK):
            raise PermissionError(errno.EACCES, "permission denied")
        return destination(path)
    os.write(descriptor, b"")
    return Path(path)


def _open_stream(path: str | os.PathLike[str]) -> int:
    descriptor = descriptor_of(path)
    if descriptor is not None:
        return os.dup(descriptor)
    place = destination(path)
    if not place.is_fifo():
        return os.open(place, os.O_WRONLY)
    deadline = time.monotonic() + READER_SECONDS
    while True:
        try:
            opened = os.open(place, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, f"nobody reads it, {READER_SECONDS} s long") from error
            time.sleep(0.05)
        else:
            os.set_blocking(opened, True)
            return opened


class _File(io.FileIO):
    """A file whose writes fail with an `OutputError` that names the path the user gave."""

    def __init__(self, descriptor: int, path: str | os.PathLike[str]) -> None:
        super().__init__(descriptor, "wb")
        self._path = path

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        with told(self._path):
            return super().write(data)


@contextmanager
def atomic_output(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO]:
    """Open a file that is written beside `path` and renamed to it only when the block succeeds.

    Text is UTF-8, and a text file whose name ends in `.gz` is compressed. When the block raises,
    nothing is left behind and a file that was at `path` before stays as it was; a link there stays
    a link. A device, a FIFO or an open descriptor is written straight into. What killed processes
    left beside the file is removed.

    Raises:
        OutputError: the file cannot be written, or a write fails, as on a full disk.
    """
    place = check_writable(path)
    if is_stream(path):
        with told(path):
            opened = _open_stream(path)
        with _layers(_File(opened, path), place, mode) as file:
            yield file
        return
    with told(path):
        parts.clean(place)
        beside, opened = parts.new_file(place)
    with parts.held(opened):
        try:
            with _layers(_File(opened, path), place, mode) as file:
                yield file
            with told(path):
                sync(beside)
                _keep_rights(place, beside)
                os.replace(beside, place)
                sync(place.parent)
        finally:
            beside.unlink(missing_ok=True)


_UTF8: dict[str, Any] = {"encoding": "utf-8", "errors": "replace"}
"""A path or a flag need not be UTF-8; ids and texts are, since they were read."""


@contextmanager
def _layers(raw: _File, place: Path, mode: str) -> Iterator[IO]:
    """Buffer a file and, for text, encode it and compress it if its name says so."""
    with io.BufferedWriter(raw, 1 << 16) as buffered:
        if "b" in mode:
            yield buffered
        elif place.name.endswith(".gz"):
            with gzip.GzipFile("", "wb", fileobj=buffered, mtime=0) as packed:
                with io.TextIOWrapper(packed, **_UTF8) as file:
                    yield file
        else:
            with io.TextIOWrapper(buffered, **_UTF8) as file:
                yield file


def _keep_rights(place: Path, beside: Path) -> None:
    """Give a file the mode and the owner of the one that it replaces, as far as that is allowed."""
    if not place.exists():
        return
    before = place.stat()
    with suppress(OSError, AttributeError):
        os.chown(beside, before.st_uid, before.st_gid)
    with suppress(OSError):
        os.chmod(beside, before.st_mode & 0o7777)


def check_new_folder(path: str | os.PathLike[str]) -> Path:
    """Return where a folder can be made for `path`; call it before long work.

    Raises:
        OutputError: something is there already, another process is making it, or no folder can be
            made.
    """
    place = destination(path)
    if os.path.lexists(place):
        raise OutputError(f"{path} exists: choose another output folder, or remove it first.")
    place = check_writable(path)
    if parts.in_use(place):
        raise OutputError(
            f"another process is writing {path}: wait until it has ended, or choose another output "
            "folder."
        )
    return place


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Hand out a folder beside `path` that is renamed to it only when the block succeeds.

    Raises:
        OutputError: something is at `path` already, the folder cannot be made, or a write in the
            block fails, as on a full disk.
    """
    place = check_new_folder(path)
    with told(path):
        parts.clean(place)
        beside, opened = parts.new_folder(place)
        try:
            yield beside
            for file in beside.rglob("*"):
                sync(file)
            sync(beside)
            if os.path.lexists(place):
                raise OutputError(f"{path} was made by another process meanwhile: it is kept.")
            os.replace(beside, place)
            sync(place.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if opened is not None:
                os.close(opened)
