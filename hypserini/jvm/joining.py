"""Joins a JVM that runs already: started by Pyserini, by PyTerrier, or by anything else."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from hypserini.errors import JavaError
from hypserini.jvm import jar, jdk
from hypserini.jvm.chatter import without_chatter

logger = logging.getLogger(__name__)

JOIN_TIMEOUT_SECONDS = 60


def join() -> None:
    """Make Lucene and our classes callable in the JVM of this process.

    Raises:
        JavaError: it is too old, or takes in no jar.
    """
    from jnius import autoclass

    system = autoclass("java.lang.System")
    version = int(system.getProperty("java.specification.version").rpartition(".")[2])
    if version < jdk.MINIMUM:
        raise JavaError(
            f"this process already runs Java {version}, and hypserini needs {jdk.MINIMUM} or newer:"
            " set JAVA_HOME to such a JDK before Python starts, or import hypserini before what"
            " starts Java, such as Pyserini."
        )
    if not _has_our_classes():
        loaded = _loaded_anserini(system.getProperty("java.class.path"))
        anserini = loaded or jar.anserini_jar()
        told = add_jars([] if loaded else [anserini], carrier=jar.fitting_jar(anserini))
        if not _has_our_classes():
            raise JavaError(
                f"could not join the JVM that already runs in this process ({told}): import"
                " hypserini.jvm and call start() before anything else starts Java."
            )
    _take_signals_back()


def add_jars(jars: Sequence[Path], carrier: Path) -> str:
    """Put jars on the class path of the running JVM, and a jar of ours, which carries them in.

    Returns:
        What the JVM said to that.
    """
    from jnius import autoclass

    home = autoclass("java.lang.System").getProperty("java.home")
    kit = jdk.inspect(Path(home))
    jcmd = kit.tool("jcmd") if kit is not None else None
    if jcmd is None or not jcmd.is_file():
        jcmd = jdk.find(compiler=True).tool("jcmd")
    logger.debug("adding %s and %s to the running JVM", carrier, jars)
    command = [str(jcmd), str(os.getpid()), "JVMTI.agent_load", str(carrier)]
    if jars:
        command.append(os.pathsep.join(map(str, jars)))
    with without_chatter():
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=JOIN_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return " ".join((done.stdout + done.stderr).split())


def _has_our_classes() -> bool:
    from jnius import JavaException, autoclass

    try:
        autoclass(jar.AGENT_CLASS)
    except JavaException:
        return False
    return True


def _take_signals_back() -> None:
    """Make Ctrl-C a KeyboardInterrupt again, which a JVM started without -Xrs has put an end to."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)


def _loaded_anserini(class_path: str) -> Path | None:
    """The fat jar that the JVM was started with, whose Lucene ours must fit."""
    for entry in class_path.split(os.pathsep):
        name = os.path.basename(entry)
        if name.startswith("anserini-") and name.endswith(".jar"):
            return Path(entry)
    return None
