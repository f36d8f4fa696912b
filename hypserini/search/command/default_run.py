"""The file of a run that was not named: `runs/INDEX.TOPICS.txt`, indexes joined by +."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Sequence
from pathlib import Path

from hypserini.errors import OutputError
from hypserini.formats.names import part_of_a_name
from hypserini.formats.topics import Topics

FOLDER = Path("runs")


def default_run(index: Sequence[Path], topics: Topics) -> Path:
    """Where the run of some topics over an index goes.

    Topics from a file that does not lie in the working folder are called by its folder, too, so
    that `a/topics.tsv` and `b/topics.tsv` have runs of their own.

    Raises:
        OutputError: There is a run of other topics, as far as its first topic tells.
    """
    file = Path(topics.name)
    name = part_of_a_name(topics.name)
    if file.is_file() and file.absolute().parent.resolve() != Path.cwd().resolve():
        name = f"{file.absolute().parent.resolve().name}.{name}"
    searched = "+".join(Path(os.path.abspath(folder)).name for folder in index)
    run = FOLDER / f"{searched}.{name}.txt"
    if run.is_file() and not _is_of(run, set(topics.qids)):
        raise OutputError(
            f"{run} has topics that are not in {topics.name}, and would be replaced: name the run "
            "with --output."
        )
    return run


def _is_of(run: Path, qids: Container[str]) -> bool:
    """Whether a run begins with one of these topics, in whatever format; an empty one does."""
    with open(run, encoding="utf-8", errors="replace") as file:
        line = next(file, "").strip()
    try:
        first = json.loads(line)["qid"] if line.startswith("{") else line.split()[0] if line else ""
    except (ValueError, KeyError, TypeError):
        return False
    return not line or first in qids
