"""Which checkpoint a run begins from, and what becomes of those that it does not."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from hypserini.errors import OutputError, TrainingError
from hypserini.formats.disk import sync
from hypserini.formats.output import told
from hypserini.formats.workplace import LOCK, BusyError, ForeignError, Workplace

logger = logging.getLogger(__name__)

PARTIAL = "_partial"
"""The folder in which a model is written; the hub's client leaves such names alone."""

_NAME = re.compile(r"checkpoint-(\d+)")
_STATE = "trainer_state.json"


def starting_point(
    folder: str | Path, resume: bool | str, *, overwrite: bool = False
) -> str | None:
    """Return the checkpoint to go on from, or None to begin anew, and clear the folder for either.

    To be called by one process before the others look. Checkpoints that a kill left half-written
    are removed; those of an earlier run, where a new one begins, are moved into a folder
    `earlier-N` beside them.

    Args:
        folder: the run's output folder.
        resume: go on from the last complete checkpoint, if there is one; or from a given one.
        overwrite: remove an earlier run's checkpoints.

    Raises:
        TrainingError: the checkpoint cannot be gone on from.
    """
    folder = Path(folder)
    if (folder / PARTIAL).exists():
        _remove(_claimed(folder / PARTIAL))
    if isinstance(resume, str):
        if not _is_complete(Path(resume)):
            raise TrainingError(
                f"{resume} is no complete checkpoint: give a folder checkpoint-N, or true for the "
                f"last one of {folder}."
            )
        return _with_optimizer(Path(resume))
    found = _checkpoints(folder)
    if resume:
        for path in [path for path in found if not _is_complete(path)]:
            logger.warning("%s is half-written: it is removed.", path)
            shutil.rmtree(path)
        complete = [path for path in found if path.exists()]
        return _with_optimizer(complete[-1]) if complete else None
    if found and overwrite:
        for path in found:
            shutil.rmtree(path)
        logger.info("The checkpoints of an earlier run in %s are removed.", folder)
    elif found:
        number = next(n for n in range(1, 1 << 30) if not (folder / f"earlier-{n}").exists())
        aside = folder / f"earlier-{number}"
        aside.mkdir()
        for path in found:
            os.replace(path, aside / path.name)
        logger.warning(
            "The checkpoints of an earlier run in %s are now in %s: to go on from them, move them "
            "back and give --resume.",
            folder,
            aside,
        )
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """The folders checkpoint-N, by N."""
    if not folder.is_dir():
        return []
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir() if path.is_dir()]
    return [path for path, _ in sorted(((p, int(m[1])) for p, m in named if m), key=lambda x: x[1])]


def _is_complete(path: Path) -> bool:
    """Whether everything is there: the Trainer writes its state last."""
    try:
        json.loads((path / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _with_optimizer(path: Path) -> str:
    if not (path / "scheduler.pt").exists():
        raise TrainingError(
            f"{path} holds a model without its optimizer, as save_only_model leaves it: begin from "
            "it with checkpoint_path in model_config instead of resuming."
        )
    return str(path)


@contextmanager
def whole_files(folder: str | Path) -> Iterator[Path]:
    """Hand out a folder whose files replace those of the same name in `folder` when all is well.

    Raises:
        OutputError: A file cannot be written, as on a full disk.
        TrainingError: Another process writes a model there, or something is in the way.
    """
    folder = Path(folder)
    partial = folder / PARTIAL
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        workplace = _claimed(partial)
        try:
            yield partial
            # What makes a folder a model comes last.
            entries = sorted(_entries(partial), key=lambda path: path.name == "config.json")
            for path in entries:
                sync(path)
            for path in entries:
                os.replace(path, folder / path.name)
            sync(folder)
        finally:
            _remove(workplace)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what libraries say of a disk that takes no more into an error of the user's."""
    try:
        with told(folder):
            yield
    except (SafetensorError, RuntimeError) as error:
        # Of torch.save, whose errors have no kind of their own: "PytorchStreamWriter failed ...".
        if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):
            raise
        what = " ".join(str(error).split())[:120]
        raise OutputError(
            f"cannot write {folder} ({what}): make room there, and go on with --resume."
        ) from error


def _claimed(partial: Path) -> Workplace:
    """The folder in which a model is written, emptied of what a killed process left in it."""
    workplace = Workplace(partial)
    try:
        workplace.claim()
    except BusyError:
        raise TrainingError(
            f"another process writes its model in {partial.parent}: give another output_dir."
        ) from None
    except ForeignError:
        raise TrainingError(
            f"{partial}, where the model would be written, exists and was not made by hypserini: "
            "move it away, or give another output_dir."
        ) from None
    _empty(partial)
    return workplace


def _entries(partial: Path) -> list[Path]:
    return [path for path in partial.iterdir() if path.name != LOCK]


def _empty(partial: Path) -> None:
    for path in _entries(partial):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove(workplace: Workplace) -> None:
    _empty(workplace.folder)
    workplace.remove()
