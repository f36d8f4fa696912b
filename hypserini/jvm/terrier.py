"""One JVM for PyTerrier's Terrier and for us, whichever starts it.

PyTerrier finds this by the entry point `pyterrier.java.init` and asks it before it starts Java.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyterrier.java import JavaInitializer

from hypserini.errors import JavaError
from hypserini.jvm import jar
from hypserini.jvm.joining import add_jars
from hypserini.jvm.starting import configure

logger = logging.getLogger(__name__)


class Initializer(JavaInitializer):
    """Has Terrier's Java know our classes; or where one runs already, has it take in Terrier's."""

    def priority(self) -> int:
        """Before all others, whose settings a Java that runs would refuse."""
        return -1000

    def pre_init(self, jnius_config: Any) -> None:
        """Called before Java starts, or would start if it did not run."""
        if not jnius_config.vm_running:
            with suppress(JavaError):  # Terrier is content with an older Java than we are
                configure()
            return
        jnius_config.add_classpath = _add_classpath
        jnius_config.add_options = _add_options


def _add_classpath(*paths: str) -> None:
    """In place of jnius_config's: add jars to the Java that runs."""
    told = add_jars([Path(path) for path in paths], carrier=jar.fitting_jar(jar.anserini_jar()))
    logger.debug("added %s: %s", paths, told)


def _add_options(*options: str) -> None:
    """In place of jnius_config's: what comes too late is noted and left out."""
    logger.debug("Java runs already, without %s", " ".join(options))
