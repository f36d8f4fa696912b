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

from hypserini.errors import TrainingError

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
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
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
    """Hand out a folder whose files replace those of the same name in `folder` when all is well."""
    folder = Path(folder)
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        # What makes a folder a model comes last.
        for path in sorted(partial.iterdir(), key=lambda path: path.name == "config.json"):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
