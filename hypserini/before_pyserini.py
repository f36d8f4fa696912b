"""Lets Pyserini, and whatever else starts Java, be imported after us in any shell.

Importing Pyserini starts the Java of JAVA_HOME or of the PATH, which is often too old; and
Pyserini 1 with a current openai wants a key at its import, whether or not it is used. What is
missing is set when something looks for these modules, and not at our own import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

JAVA = "jnius"
WANTS_A_KEY = "pyserini.encode._openai"


class _Watch:
    """A finder that finds nothing: it is asked before the others, and sets what they need."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name == JAVA:
            _prepare_java()
        elif name == WANTS_A_KEY:
            os.environ.setdefault("OPENAI_API_KEY", "unused")


def watch() -> None:
    """Set what Pyserini's imports need, when they come."""
    if _Watch not in sys.meta_path:
        sys.meta_path.insert(0, _Watch)


def _prepare_java() -> None:
    from hypserini.errors import JavaError
    from hypserini.jvm.starting import configure

    # Without a fitting Java or jar, what starts it now will say so in its own words.
    with suppress(JavaError):
        configure()
