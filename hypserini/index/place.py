"""Where an index grows and how it takes its place, so that nothing is lost, half there, or taken.

An index grows in `<index>.building` beside its place, on the same disk, and a lock in that folder
keeps every other build of the index away until this one ends, however it ends. A new index takes
its place by a rename. One that is to be replaced is replaced by a commit of Lucene's in its own
folder (`Replacement.java`), so that the folder, links to it, and files of the user's in it stay,
and whoever opens it finds either index whole.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hypserini import jvm
from hypserini.defaults import index_path
from hypserini.errors import IndexingError
from hypserini.formats import parts
from hypserini.formats.workplace import LOCK, BusyError, ForeignError, Workplace
from hypserini.index import lucene_files

logger = logging.getLogger(__name__)


class BusyPlaceError(IndexingError):
    """Another process builds the index."""


class IndexPlace:
    """An index to be made at `target`, which grows in `building` beside it; a context manager.

    Entering checks all that could stand in the way at the end, and takes the lock; leaving gives it
    back, and leaves no folder behind that a resumed build could make nothing of.

    Args:
        index: The folder of the finished index; links are followed and stay.
        resume: An unfinished build is to be continued.
        overwrite: What is there may be replaced.

    Raises:
        IndexingError: Something is in the way, another process builds this index, there is nothing
            to resume, or the folder cannot be made.
    """

    def __init__(
        self, index: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = False
    ) -> None:
        if resume and overwrite:
            raise IndexingError("--resume and --overwrite exclude each other: give one of them.")
        self.target = Path(os.path.realpath(index_path(index)))
        if self.target == self.target.parent:
            raise IndexingError(f"{self.target} is no place for an index: give a folder in it.")
        if not os.fsencode(self.target).decode(errors="replace") == str(self.target):
            raise IndexingError(
                f"{str(self.target)!r} is not valid Unicode, and Java would write to another place:"
                " choose another --index."
            )
        self.building = self.target.with_name(self.target.name + ".building")
        self.resume = resume
        self.overwrite = overwrite
        self._workplace = Workplace(self.building)

    def __enter__(self) -> Self:
        try:
            self._enter()
        except OSError as error:
            raise IndexingError(
                f"cannot make an index at {self.target} ({error.strerror}): choose another --index."
            ) from error
        return self

    def _enter(self) -> None:
        parts.clean(self.building)
        self._check_target()
        if self.resume and not self.building.exists():
            raise self._nothing_to_resume()
        self._claim()
        try:
            self._tidy()
            self._check_target()
            self._check_building()
            self._workplace.note(index=self.target.name, overwrite=self._overwrites())
        except BaseException:
            self._leave()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and lucene_files.has_commit(self.building):
            logger.warning("what was committed lies in %s: --resume goes on with it", self.building)
        self._leave()

    def clear(self) -> None:
        """Remove an unfinished build, unless it is to be continued."""
        if not self.resume:
            lucene_files.remove(self.building)

    def finish(self) -> None:
        """Put the finished index in its place; the one that was there goes only then.

        Raises:
            IndexingError: That cannot be done; what was built stays and can be resumed.
        """
        if lucene_files.has_commit(self.target) and not self._overwrites():
            raise self._not_to_replace()
        try:
            self._check_target()
            if self.target.exists():
                self._replace()
                self._workplace.remove()
            else:
                self._workplace.move(self.target)
        except OSError as error:
            raise IndexingError(
                f"the index cannot be put at {self.target} ({error.strerror}): what was built lies "
                f"in {self.building}; go on with --resume when that is mended."
            ) from error

    def _claim(self) -> None:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._workplace.claim()
        except BusyError:
            raise BusyPlaceError(
                f"another process is building the index {self.target}: wait until it has ended."
            ) from None
        except ForeignError:
            raise IndexingError(
                f"{self.building}, where the index would grow, exists and was not made by"
                " hypserini: move it away, or choose another --index."
            ) from None

    def _leave(self) -> None:
        if self._workplace.is_claimed:
            if lucene_files.has_commit(self.building):
                self._workplace.release()
            else:
                lucene_files.remove(self.building)
                self._workplace.remove()

    def _check_target(self) -> None:
        target = self.target
        if not target.exists():
            return
        self._check_finished()
        if not target.is_dir() or not (lucene_files.has_commit(target) or self._is_free()):
            raise IndexingError(
                f"{target} exists and is not a Lucene index: choose another folder for --index."
            )
        if lucene_files.has_commit(target):
            self._check_replaced()
        if os.path.ismount(target):
            raise IndexingError(f"{target} is the root of a disk: give a folder in it as --index.")
        with tempfile.TemporaryFile(dir=target):
            pass  # it can be written to

    def _check_finished(self) -> None:
        """Refuse what another index grows in; forgive a build that was killed at its very end."""
        at_work = Workplace(self.target)
        if at_work.is_ours and at_work.notes.get("index") != self.target.name:
            raise IndexingError(
                f"{self.target} is the unfinished build of another index: give another --index."
            )
        (self.target / LOCK).unlink(missing_ok=True)

    def _is_free(self) -> bool:
        """Whether the target holds nothing but what a killed replacement left."""
        return not lucene_files.strangers(self.target)

    def _check_replaced(self) -> None:
        if not self.resume and not self.overwrite:
            raise IndexingError(
                f"the index {self.target} exists: give --overwrite to replace it, "
                "or another --index."
            )
        if self.resume and not self.building.exists():
            raise self._nothing_to_resume()
        if endangered := lucene_files.endangered(self.target):
            raise IndexingError(
                f"{endangered[0]} is not Lucene's and would be lost, for its name is: move it out "
                "of the index."
            )
        _replacement("check", self.target)

    def _nothing_to_resume(self) -> IndexingError:
        if lucene_files.has_commit(self.target):
            return IndexingError(
                f"there is no unfinished build beside the index {self.target}, so there is nothing "
                "to resume: give --overwrite to build it anew."
            )
        return IndexingError(
            f"there is no unfinished build at {self.building}: leave --resume out to start one."
        )

    def _check_building(self) -> None:
        if strangers := lucene_files.strangers(self.building):
            raise IndexingError(
                f"{strangers[0]} was not made by hypserini: move it out of the unfinished build."
            )
        begun = lucene_files.has_commit(self.building)
        if begun and not (self.resume or self.overwrite):
            raise IndexingError(
                f"an unfinished build of this index lies in {self.building}: "
                "give --resume to go on with it, or --overwrite to start again."
            )
        if self.resume and lucene_files.has_commit(self.target) and not self._overwrites():
            raise self._not_to_replace() if begun else self._nothing_to_resume()
        if self.resume and not begun:
            logger.info("nothing had been committed: the build starts again")

    def _not_to_replace(self) -> IndexingError:
        return IndexingError(
            f"the index {self.target} was not there when the build in {self.building} was begun: "
            "move it away, and go on with --resume."
        )

    def _overwrites(self) -> bool:
        """Whether the user has said, now or when the build was begun, that it may replace."""
        noted = self.resume and self._workplace.notes.get("overwrite")
        return self.overwrite or bool(noted)

    def _tidy(self) -> None:
        """Remove what a killed process left that nobody could go on with."""
        if not lucene_files.has_commit(self.building):
            lucene_files.remove(self.building)
        elif lucene_files.has_commit(self.target) and self._is_done():
            self._replace()

    def _is_done(self) -> bool:
        return bool(_replacement("isDone", self.building, self.target))

    def _replace(self) -> None:
        """Make what was built the index at the target; a second time, remove what is left over."""
        if not (lucene_files.has_commit(self.target) and _replacement("check", self.target)):
            lucene_files.remove(self.target)
        _replacement("put", self.building, self.target)
        lucene_files.remove_notes(self.target)
        lucene_files.remove(self.building)


def _replacement(method: str, *folders: Path) -> Any:
    """Call a method of Java's Replacement; its complaints become one sentence."""
    java = jvm.java_class("io.hypserini.Replacement")
    packed = [jvm.pack_path(folder) for folder in folders]
    from jnius import JavaException

    try:
        return getattr(java, method)(*packed)
    except JavaException as error:
        raise IndexingError(
            f"the index {folders[-1]} cannot be replaced: {jvm.reason(error)}"
        ) from error
