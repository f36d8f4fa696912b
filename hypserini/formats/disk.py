"""What the operating system grants to files: locks that end with a process, writes that last."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # beyond what is written, which stays readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder for this descriptor alone; False if another one has the lock.

    The lock ends with the descriptor, or with its process, however that ends.

    Raises:
        OSError: The file system has no locks.
    """
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):
        return False
    return True


def sync(path: str | os.PathLike[str]) -> None:
    """Have a file's content, or a folder's names, on the disk before anything relies on them.

    Raises:
        OSError: It cannot be written after all, as on a disk that is full.
    """
    if Path(path).is_dir():
        _sync_folder(path)
        return
    descriptor = os.open(path, os.O_RDWR)  # Windows syncs what is open for writing alone
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: str | os.PathLike[str]) -> None:
    if sys.platform == "win32":
        return  # its folders cannot be opened
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems sync no folders
    finally:
        os.close(descriptor)
