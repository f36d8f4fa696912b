"""Holds back what the JVM says at its start that is no concern of the user."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

_CHATTER = (
    b"WARNING: Using incubator modules",
    b"WARNING: A Java agent has been loaded dynamically",
    b"WARNING: If a serviceability tool is",
    b"WARNING: Dynamic loading of agents will be",
    b"Picked up JAVA_TOOL_OPTIONS",
    b"Picked up JDK_JAVA_OPTIONS",
)


def telling(said: bytes) -> bytes:
    """What a JVM said, without its usual chatter."""
    return b"".join(line for line in said.splitlines(True) if not line.startswith(_CHATTER))


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what is written to stderr, and pass on all but the JVM's usual chatter."""
    with suppress(OSError, AttributeError, ValueError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        yield  # no stderr to speak of
        return
    try:
        held: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # nowhere to write: rather all of it than none
        os.close(saved)
        yield
        return
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            os.write(2, telling(held.read()))
