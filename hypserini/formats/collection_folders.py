"""Which files of a folder are the collection; what is left out is said."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hypserini.errors import CollectionError, named
from hypserini.formats.collection_files import SUFFIXES

logger = logging.getLogger(__name__)

# What a folder as distributed (BEIR, MS MARCO) holds, ...
_COLLECTION_NAMES = ("corpus.jsonl", "corpus.jsonl.gz", "collection.tsv", "collection.tsv.gz")
# ... and what lies beside it there, which nobody takes for documents.
_BESIDE = re.compile(r"(queries|qrels|topics|triples|qidpidtriples|readme|license)\b.*", re.I)


def find_files(path: Path) -> list[Path]:
    """Return the files of a collection: the path itself, or those of a folder, sorted by path.

    A folder's corpus.jsonl or collection.tsv if it has one, else its JSON files, else its TSV
    files, in all folders below it, links to folders included. Whatever else lies there is logged,
    but for hidden files.

    Raises:
        CollectionError: there is nothing at the path, a folder cannot be read, or it holds no such
            files.
    """
    if not os.path.exists(path):
        raise CollectionError(f"{path} does not exist{_nearest(path)}.")
    if not os.path.isdir(path):
        return [path]
    there = sorted(_files_below(path))
    found = _choose(path, there)
    if not found:
        raise CollectionError(
            f"the folder {path} holds no collection: expected files named {', '.join(SUFFIXES)}, "
            f"or these with .gz, and found {named(_relative(there, path))}."
        )
    known = found[0].name in _COLLECTION_NAMES
    chosen = set(found)
    left = [
        file
        for file in there
        if file not in chosen
        and not (known and any(map(_BESIDE.fullmatch, file.relative_to(path).parts)))
    ]
    if left:
        logger.warning(
            "%s: the collection is %s, and what else is there is left out (%s): %s",
            *(path, named(_relative(found, path), 3)),
            *(f"{len(left):,}", named(_relative(left, path))),
        )
    return found


def _choose(folder: Path, files: list[Path]) -> list[Path]:
    for name in _COLLECTION_NAMES:
        if os.path.isfile(folder / name):
            return [folder / name]
    for wanted in ("json", "tsv"):
        # The same file by two names, one of them a link, is read once.
        found = {
            os.path.realpath(file): file
            for file in reversed(files)
            if _kind(file) == wanted and os.path.isfile(file)
        }
        if found:
            return sorted(found.values())
    return []


def _files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, links to folders followed, each folder once; no hidden ones."""

    def refuse(error: OSError) -> None:
        raise CollectionError(
            f"the folder {error.filename} cannot be read ({error.strerror})."
        ) from error

    seen = {os.path.realpath(folder)}
    for here, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        below = {name: os.path.realpath(Path(here, name)) for name in sorted(folders)}
        folders[:] = []
        for name, real in below.items():
            if not name.startswith(".") and real not in seen:
                seen.add(real)
                folders.append(name)
        yield from (Path(here, name) for name in files if not name.startswith("."))


def _relative(files: list[Path], folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in files]


def _kind(path: Path) -> str | None:
    return SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix)


def _nearest(path: Path) -> str:
    """Return a hint at what may have been meant by a path that does not exist."""
    folder = path.parent
    while not os.path.isdir(folder) and folder != folder.parent:
        folder = folder.parent
    if folder != path.parent:
        return f" ({folder} holds no {path.relative_to(folder).parts[0]})"
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return ""
    found = difflib.get_close_matches(path.name, names, 1)
    return f" (the nearest is {folder / found[0]})" if found else ""
