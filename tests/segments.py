"""An index of several segments, which a build alone would merge into one graph."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hypserini.index.writer import IndexWriter


def write_segments(path: Path, parts: Iterable[Sequence[Any]], **settings: Any) -> Path:
    """Write each of `parts`, what `IndexWriter.add` takes, as a segment of its own."""
    folders = []
    for number, part in enumerate(parts):
        folders.append(path.with_name(f"{path.name}.part{number}"))
        with IndexWriter(folders[-1], **settings) as writer:
            writer.add(*part)
            settings["similarity"] = writer.similarity
    with IndexWriter(path, **settings) as writer:
        writer.add_indexes(folders)
        writer.commit({})
    for folder in folders:
        shutil.rmtree(folder)
    return path
