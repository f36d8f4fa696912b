"""Folders and files that one process writes at a time, told apart from a user's own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from hypserini.formats import parts
from hypserini.formats.disk import sync, try_lock

LOCK = "hypserini.lock"
"""The file that makes a folder a workplace of ours; whoever works in it holds the file's lock."""


class BusyError(Exception):
    """Another process, or another thread of this one, holds the workplace."""


class ForeignError(Exception):
    """What lies at the workplace's path was not made by hypserini."""


class Workplace:
    """A folder in which something grows over hours, perhaps in several goes.

    Its file `hypserini.lock` tells that it is ours, keeps what is to be known of it, and is locked
    by the one process that works in it. Only between `claim` and `release` may it be changed.

    Args:
        folder: The folder; `claim` makes it if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None
        self._made = False

    @property
    def is_ours(self) -> bool:
        """Whether a workplace is there, claimed or left behind."""
        return (self.folder / LOCK).is_file()

    @property
    def is_claimed(self) -> bool:
        """Whether it is this object's."""
        return self._descriptor is not None

    def claim(self) -> None:
        """Make the folder this process's own; an empty one is taken over.

        Raises:
            BusyError: Another process or thread has it.
            ForeignError: It is a folder of the user's with something in it, or no folder.
            OSError: It cannot be made.
        """
        parts.clean(self.folder)
        while self._descriptor is None:
            try:
                descriptor = self._open() if os.path.lexists(self.folder) else self._make()
            except FileNotFoundError:
                if not self.folder.parent.is_dir():
                    raise
                continue  # whoever had it has just removed it
            if descriptor is None:
                continue
            try:
                if not try_lock(descriptor):
                    raise BusyError
                if self._is_still(descriptor):
                    self._descriptor = descriptor
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def _open(self) -> int:
        """Open the lock of a folder that is there."""
        if not self.folder.is_dir() and os.path.lexists(self.folder):
            raise ForeignError
        self._made = self.is_ours
        if not self._made and any(os.scandir(self.folder)) and not self.is_ours:
            raise ForeignError
        return os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)

    def _make(self) -> int | None:
        """Make the folder, which appears with its lock; None if another process was faster."""
        beside = parts.new_path(self.folder)
        try:
            beside.mkdir()
        except FileExistsError:
            return None  # left by a process of our number
        descriptor = os.open(beside / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try_lock(descriptor)
            os.rename(beside, self.folder)
        except OSError as error:
            os.close(descriptor)
            shutil.rmtree(beside, ignore_errors=True)
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return None
            raise
        self._made = True
        return descriptor

    def _is_still(self, descriptor: int) -> bool:
        """Whether the locked file is the one in the folder, and not of a folder that is gone."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.folder / LOCK))
        except FileNotFoundError:
            return False

    @property
    def notes(self) -> dict[str, Any]:
        """What was noted last; empty if nothing was."""
        try:
            noted = json.loads((self.folder / LOCK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def note(self, **notes: Any) -> None:
        """Keep something with the claimed workplace, in place of what was noted before."""
        assert self._descriptor is not None
        data = json.dumps(notes).encode()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, data)
        os.ftruncate(self._descriptor, len(data))
        os.fsync(self._descriptor)
        sync(self.folder)
        sync(self.folder.parent)

    def move(self, target: Path) -> None:
        """Rename the folder, which is a workplace no longer."""
        if sys.platform == "win32":
            self.release()  # an open file keeps its folder in place there
        os.rename(self.folder, target)
        sync(target.parent)
        (target / LOCK).unlink(missing_ok=True)
        self.release()

    def leave(self) -> None:
        """Give it up, finished: the folder is a workplace no longer."""
        (self.folder / LOCK).unlink(missing_ok=True)
        sync(self.folder)
        self.release()

    def remove(self) -> None:
        """Give it up, and remove the folder if we made it and nothing else is left in it."""
        folder = self.folder
        if self._made and os.listdir(folder) == [LOCK]:
            # An empty folder would be taken for a user's by whoever comes after a kill.
            folder = parts.new_path(folder)
            os.rename(self.folder, folder)
        (folder / LOCK).unlink(missing_ok=True)
        if folder != self.folder:
            folder.rmdir()
        self.release()

    def release(self) -> None:
        """Give the workplace up as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
