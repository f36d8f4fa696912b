"""Where an index grows and how it takes its place, so that nothing is lost or half there."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypserini.errors import IndexingError


class IndexPlace:
    """An index to be made at `target`, which grows in `building` beside it.

    Args:
        target: The folder of the finished index.
        resume: An unfinished build is to be continued.
        overwrite: What is there may be replaced.
    """

    def __init__(self, target: Path, *, resume: bool = False, overwrite: bool = False) -> None:
        self.target = target
        self.building = target.with_name(target.name + ".building")
        self.resume = resume
        self.overwrite = overwrite

    def check(self) -> None:
        """Refuse to touch what is there, unless it is an index and the user says so.

        Raises:
            IndexingError: Something is in the way, there is nothing to resume, or the folder
                cannot be made.
        """
        self.drop_if_nothing_committed()
        if self.resume and self.overwrite:
            raise IndexingError("--resume and --overwrite exclude each other: give one of them.")
        if self.target.exists():
            self._check_target()
        if self.building.exists() and not (self.resume or self.overwrite):
            raise IndexingError(
                f"an unfinished build of this index lies in {self.building}: "
                "give --resume to go on with it, or --overwrite to start again."
            )
        if self.resume and not self.building.exists():
            raise IndexingError(
                f"there is no unfinished build at {self.building}: leave --resume out to start one."
            )
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if not self.building.exists():
                self.building.mkdir()
                self.building.rmdir()
        except OSError as error:
            raise IndexingError(
                f"cannot make the folder {self.building} ({error.strerror}): "
                "choose another --index."
            ) from error

    def _check_target(self) -> None:
        if not _is_index(self.target):
            if not self.target.is_dir() or any(self.target.iterdir()):
                raise IndexingError(
                    f"{self.target} exists and is not a Lucene index: "
                    "choose another folder for --index."
                )
        elif self.resume and not self.building.exists():
            raise IndexingError(f"the index {self.target} is complete: there is nothing to resume.")
        elif not self.overwrite and not self.resume:
            raise IndexingError(
                f"the index {self.target} exists: give --overwrite to replace it, "
                "or another --index."
            )

    def clear(self) -> None:
        """Remove an unfinished build, unless it is to be continued."""
        if self.building.exists() and not self.resume:
            shutil.rmtree(self.building)

    def drop_if_nothing_committed(self) -> None:
        """Leave no folder behind that a resumed build could make nothing of."""
        if self.building.is_dir() and not _is_index(self.building):
            shutil.rmtree(self.building, ignore_errors=True)

    def finish(self) -> None:
        """Put the finished index in its place; the one that was there goes only then."""
        replaced = self.target.with_name(self.target.name + ".replaced")
        if self.target.exists():
            self.target.rename(replaced)
        self.building.rename(self.target)
        if replaced.exists():
            shutil.rmtree(replaced)


def _is_index(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("segments_*"))
