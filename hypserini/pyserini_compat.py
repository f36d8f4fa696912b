"""Imports Pyserini's own modules where they are needed, past what would stop them."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from urllib.error import URLError

from hypserini import jvm
from hypserini.errors import HypseriniError


def import_pyserini(name: str = "pyserini.search.lucene") -> ModuleType:
    """Import a module of Pyserini, on our JVM; `pyserini.search.lucene` takes many seconds.

    Raises:
        HypseriniError: There is no web, which Pyserini 2.4 reads lists from at import.
    """
    jvm.start()
    # Pyserini 1.6 with a current openai asks for a key at import; any will do.
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    try:
        return import_module(name)
    except (URLError, TimeoutError) as error:
        raise HypseriniError(
            f"the installed Pyserini needs the web to import {name} ({error}): connect once, or"
            " use Python 3.11 with `pip install pyserini==1.6.0`, which does not."
        ) from error
