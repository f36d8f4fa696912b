"""One reader, one file: what came of it."""

from __future__ import annotations

import traceback
from pathlib import Path

from fuzz.readers import Reader

from hypserini.errors import HypseriniError

LONGEST = 500
"""Characters of a message that a user still reads."""


def attempt(reader: Reader, path: Path) -> tuple[str, str | None]:
    """What a reader did ("read", "refused", "faults"), and what was wrong, if anything."""
    try:
        reader.read(path)
    except HypseriniError as error:
        message = str(error)
        if type(error).__name__ == "Malformed":
            return "faults", f"Malformed without a place: {message}"
        if len(message) >= LONGEST or "\n" in message:
            return "faults", f"a message of {len(message)} characters: {message!r}"
        return "refused", None
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "hypserini" in f.filename]
        at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return "faults", f"{type(error).__name__} at {at}: {str(error)[:200]}"
    return "read", None
