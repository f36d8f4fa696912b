"""Small files of ours beside an index's, which it is whole without."""

from __future__ import annotations

import json

from hypserini.errors import OutputError
from hypserini.formats.output import atomic_output
from hypserini.index.reader import Index


def keep_beside(index: Index, name: str, value: object) -> str | None:
    """Write a value as JSON beside the files of an index, whole or not at all.

    Returns:
        Why it could not be kept, where the folder cannot be written to; None: it is.
    """
    if index.beside is None:
        return "several indexes are searched as one"
    try:
        with atomic_output(index.beside / name) as file:
            json.dump(value, file, indent=1)
    except (OutputError, OSError) as error:
        return str(error.__cause__ or error)
    return None
