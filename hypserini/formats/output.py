"""Writing files: gzip by name, and outputs that appear whole or not at all."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hypserini.errors import OutputError


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return `path` if a file can be written there, making its folder; call it before long work.

    Raises:
        OutputError: the path is a folder, or its folder cannot be made or written to.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the name of a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # os.access answers for root and for read-only mounts alike only when it is tried.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror}): choose another output path."
        ) from error
    return path


@contextmanager
def atomic_output(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO]:
    """Open a file that is written beside `path` and renamed to it only when the block succeeds.

    Text is UTF-8, and a text file whose name ends in `.gz` is compressed. When the block raises,
    nothing is left behind and a file that was at `path` before stays as it was.
    """
    path = check_writable(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    encoding = None if "b" in mode else "utf-8"
    try:
        if encoding and path.name.endswith(".gz"):
            with gzip.open(beside, "wt", encoding=encoding) as file:
                yield file
        else:
            with open(beside, mode, encoding=encoding) as file:
                yield file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def check_new_folder(path: str | os.PathLike[str]) -> Path:
    """Return `path` if a folder can be made there; call it before long work.

    Raises:
        OutputError: something is at `path` already, or no folder can be made beside it.
    """
    path = Path(path)
    if path.exists():
        raise OutputError(f"{path} exists: choose another output folder, or remove it first.")
    return check_writable(path)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Hand out a folder beside `path` that is renamed to it only when the block succeeds.

    Raises:
        OutputError: something is at `path` already, or the folder cannot be made.
    """
    path = check_new_folder(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    beside.mkdir()
    try:
        yield beside
        os.replace(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
