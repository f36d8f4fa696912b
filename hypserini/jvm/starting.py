"""The one JVM of this process: starts it quietly, or joins the one that something else started."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from hypserini.errors import JavaError
from hypserini.jvm import jar, jdk, trial
from hypserini.jvm.chatter import without_chatter
from hypserini.jvm.joining import join

logger = logging.getLogger(__name__)

_lock = threading.Lock()
_configured = False
_ready = False
_forked = False
_heap: int | None = None
"""Bytes that the heap may take; None: half of the machine's memory."""


def _after_fork_in_child() -> None:
    global _forked
    _forked = _forked or _is_running()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def find_jdk() -> Path:
    """Return the home of a JDK 21 or newer, as JAVA_HOME names one; see `jdk.find`."""
    return jdk.find().home


def start() -> None:
    """Make Lucene and our classes callable; does nothing when they are already.

    Raises:
        JavaError: no JDK 21 or newer; one that does not start; a JVM runs that cannot be joined;
            this process was forked from one with a JVM.
    """
    global _ready
    if _forked:
        raise JavaError(
            "this process was forked from one that had started Java, and a JVM does not survive a"
            " fork: start worker processes with multiprocessing's 'spawn' method, or use threads."
        )
    if _ready:
        return
    with _lock:
        if not _ready:
            join() if _is_running() else _launch()
            _ready = True


def java_class(name: str) -> Any:
    """Return a Java class by its full name, starting the JVM if need be; public members only.

    Call a method of a Java object in the expression that looks it up, with arguments that are there
    already: `packed = pack(ids); writer.add(packed)`. All objects of a class share pyjnius's one
    object for the method, and looking it up notes there which object is meant: with Python code run
    in between, for an argument, another thread's look-up would have its object called instead.
    """
    start()
    # pyjnius hands out a class to a second thread while the first is still filling it in.
    with _lock:
        return _java_class(name)


@cache
def _java_class(name: str) -> Any:
    from jnius import autoclass

    return autoclass(name, include_protected=False, include_private=False)


def limit_heap(most: int) -> int:
    """Start Java, where it does not run yet, with a heap of so many bytes at most.

    HYPSERINI_JAVA_OPTIONS go before.

    Returns:
        The bytes that its heap may take; more than asked for, perhaps, where it ran before.
    """
    global _heap
    _heap = most
    runtime = java_class("java.lang.Runtime")
    with _lock:
        return int(runtime.getRuntime().maxMemory())


def lucene_version() -> str:
    """Return the version of the Lucene that is loaded, such as "9.9.1"."""
    version = java_class("org.apache.lucene.util.Version")
    # pyjnius keeps the object of an overloaded method's call in the class, for all threads.
    with _lock:
        return str(version.LATEST.toString())


def detach() -> None:
    """Release the calling thread from the JVM; a thread that called Java does this at its end."""
    if _is_running() and not _forked:
        import jnius

        jnius.detach()


def _is_running() -> bool:
    config = sys.modules.get("jnius_config")
    return bool(config is not None and config.vm_running)


def _launch() -> None:
    kit = configure()
    logger.debug("starting Java %d at %s", kit.version, kit.home)
    if trial.is_doubtful() and (said := trial.why_not(_begin)):
        raise _did_not_start(kit, said)
    with without_chatter():
        try:
            _begin()
        except Exception as error:
            raise _did_not_start(kit, str(error)) from error


def configure() -> jdk.Jdk:
    """Have the JVM of this process, whoever starts it, be new enough and know our classes.

    Returns:
        The JDK that it will be of.

    Raises:
        JavaError: There is none, no jar for it, or HYPSERINI_JAVA_OPTIONS are no options.
    """
    global _configured
    kit = jdk.find()
    if not _configured:
        anserini = jar.anserini_jar()
        ours = jar.fitting_jar(anserini)
        options = _options(kit)
        # Read once, when jnius is imported; and right for what this process may start later, too.
        os.environ["JAVA_HOME"] = str(kit.home)
        import jnius_config

        jnius_config.add_options(*options)
        jnius_config.add_classpath(str(ours), str(anserini))
        _configured = True
    return kit


def _begin() -> None:
    import jnius  # noqa: F401  importing it starts the JVM


def _did_not_start(kit: jdk.Jdk, said: str) -> JavaError:
    return JavaError(
        f"Java {kit.version} at {kit.home} does not start ({' '.join(said.split())[:400]}): check"
        " HYPSERINI_JAVA_OPTIONS and JAVA_TOOL_OPTIONS, and the limits of this process (`ulimit"
        " -a`)."
    )


def _options(kit: jdk.Jdk) -> list[str]:
    """The start options; HYPSERINI_JAVA_OPTIONS and JAVA_TOOL_OPTIONS can add to them."""
    options = [
        # Merging the graphs of a big index takes a big heap. That is the limit; up to there, let
        # the collector work before it takes more memory.
        "-XX:MaxRAMPercentage=50" if _heap is None else f"-Xmx{_heap >> 20}m",
        "-XX:GCTimeRatio=4",
        # Ctrl-C and SIGTERM stay Python's affair: Java would end the process uncleaned.
        "-Xrs",
        "--enable-native-access=ALL-UNNAMED",
        f"-Djava.util.logging.config.file={Path(__file__).with_name('logging.properties')}",
        "-Dslf4j.internal.verbosity=WARN",
    ]
    if kit.has_module(jdk.VECTOR_MODULE):
        options.append(f"--add-modules={jdk.VECTOR_MODULE}")
    if kit.version >= 23:
        options.append("--sun-misc-unsafe-memory-access=allow")
    given = os.environ.get("HYPSERINI_JAVA_OPTIONS", "")
    try:
        return options + shlex.split(given)
    except ValueError as error:
        raise JavaError(
            f"HYPSERINI_JAVA_OPTIONS ({given}) cannot be split into options ({error}): write them"
            " as in a shell, such as `-Xmx16g -Dname='a b'`."
        ) from error
