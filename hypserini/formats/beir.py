"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/<split>.tsv."""

from __future__ import annotations

import os
from pathlib import Path

from hypserini.errors import CollectionError, named


def beir_file(folder: str | Path, name: str) -> Path:
    """Return a file of a BEIR folder, plain or with .gz.

    Raises:
        CollectionError: the folder has no such file; names those of that kind that it has.
    """
    for path in (Path(folder, name), Path(folder, f"{name}.gz")):
        if os.path.isfile(path):
            return path
    here = path.parent
    there = sorted(p.name for p in here.iterdir() if p.is_file()) if os.path.isdir(here) else []
    hint = f"{here} holds {named(there)}" if there else "the folder has another form"
    raise CollectionError(
        f"{folder} has no {name} ({hint}): a BEIR folder holds corpus.jsonl, queries.jsonl and "
        "qrels/<split>.tsv."
    )
