"""What lies in the folder of an index: Lucene's files, ours, and what is neither and never touched.

Lucene removes what is named like a file of its own when it writes an index. What has such a name
and is none of its own is told here, before it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hypserini.formats.workplace import LOCK

CALIBRATION = "hypserini-calibration.json"
"""What tangent search was calibrated to (`search/calibration.py`)."""

SPEED = "hypserini-speed.json"
"""How fast devices score its documents (`search/modes/speed.py`)."""

SHARDS = "hypserini-shards.json"
"""What a folder of shards says of itself (`shards.py`)."""

MAGIC = b"\x3f\xd7\x6c\x17"
"""The first bytes of Lucene's files (CodecUtil), but for temporary ones."""

_CLAIMED = re.compile(r"_[a-z0-9]+(_.*)?\..*|(pending_)?segments.*|write\.lock")
_NAMED = re.compile(r"_[a-z0-9]+(_[\w-]+)*\.[a-z]+|(pending_)?segments(_[a-z0-9]+)?")
_BESIDE = "|".join(map(re.escape, (CALIBRATION, SPEED)))
_OURS = re.compile(rf"({_BESIDE}|\.({_BESIDE})\..*\.part|{re.escape(LOCK)})")


def has_commit(folder: Path) -> bool:
    """Whether there is a Lucene index, whole or damaged."""
    return folder.is_dir() and any(folder.glob("segments_*"))


def strangers(folder: Path) -> list[Path]:
    """What is neither Lucene's nor ours, by name."""
    return sorted(path for path in folder.iterdir() if not _is_lucene(path) and not _is_our(path))


def endangered(folder: Path) -> list[Path]:
    """What is not Lucene's and yet would be removed by Lucene, for its name."""
    return [path for path in strangers(folder) if _CLAIMED.fullmatch(path.name)]


def remove(folder: Path) -> None:
    """Remove what is Lucene's and ours, but for the lock; commits first, so that none is cut."""
    for path in sorted(_removable(folder), key=lambda path: not path.name.startswith("segments")):
        path.unlink(missing_ok=True)


def remove_notes(folder: Path) -> None:
    """Remove what we keep beside Lucene's files: it was of the documents of before."""
    for path in folder.iterdir():
        if _is_our(path) and path.name != LOCK:  # of a build beside them, perhaps
            path.unlink(missing_ok=True)


def _removable(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if (_is_lucene(path) or _is_our(path)) and path.name != LOCK:
            yield path


def _is_our(path: Path) -> bool:
    return bool(_OURS.fullmatch(path.name)) and path.is_file()


def _is_lucene(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    if path.name == "write.lock":
        return True
    if not _NAMED.fullmatch(path.name):
        return False
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
    return start in (b"", MAGIC) or path.suffix == ".tmp"
