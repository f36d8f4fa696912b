"""The one JVM of this process: starts it quietly, or joins the one that Pyserini started."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hypserini.errors import JavaError
from hypserini.jvm import jar, jdk

logger = logging.getLogger(__name__)

JOIN_TIMEOUT_SECONDS = 60

# What the JVM says at its start, or when a jar joins it, that is no concern of the user.
_CHATTER = (
    b"WARNING: Using incubator modules",
    b"WARNING: A Java agent has been loaded dynamically",
    b"WARNING: If a serviceability tool is",
    b"WARNING: Dynamic loading of agents will be",
    b"Picked up JAVA_TOOL_OPTIONS",
    b"Picked up JDK_JAVA_OPTIONS",
)

_lock = threading.Lock()
_ready = False
_forked = False


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
        JavaError: no JDK 21 or newer; a JVM runs that cannot be joined; this process was forked
            from one with a JVM.
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
            _join() if _is_running() else _launch()
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


# --- starting -------------------------------------------------------------------------------------


def _launch() -> None:
    kit = jdk.find()
    anserini = jar.anserini_jar()
    ours = jar.fitting_jar(anserini)
    # Read once, when jnius is imported; and right for what this process may start later, too.
    os.environ["JAVA_HOME"] = str(kit.home)
    import jnius_config

    jnius_config.add_options(*_options(kit))
    jnius_config.add_classpath(str(ours), str(anserini))
    logger.debug("starting Java %d at %s with %s", kit.version, kit.home, anserini)
    with _without_chatter():
        try:
            import jnius  # noqa: F401  importing it starts the JVM
        except Exception as error:
            raise JavaError(
                f"Java {kit.version} at {kit.home} did not start ({error}): see what it said"
                " above, and check HYPSERINI_JAVA_OPTIONS and JAVA_TOOL_OPTIONS."
            ) from error


def _options(kit: jdk.Jdk) -> list[str]:
    """The start options; HYPSERINI_JAVA_OPTIONS and JAVA_TOOL_OPTIONS can add to them."""
    options = [
        # Merging the graphs of a big index takes a big heap. That is the limit; up to there, let
        # the collector work before it takes more memory.
        "-XX:MaxRAMPercentage=50",
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
    return options + shlex.split(os.environ.get("HYPSERINI_JAVA_OPTIONS", ""))


# --- joining --------------------------------------------------------------------------------------


def _join() -> None:
    from jnius import JavaException, autoclass

    system = autoclass("java.lang.System")
    kit = jdk.inspect(Path(system.getProperty("java.home")))
    version = int(system.getProperty("java.specification.version").rpartition(".")[2])
    if version < jdk.MINIMUM:
        raise JavaError(
            f"this process already runs Java {version}, and hypserini needs {jdk.MINIMUM} or newer:"
            " set JAVA_HOME to such a JDK before Python starts, or import hypserini.jvm and call"
            " start() before Pyserini is imported."
        )
    ours = jar.fitting_jar(_loaded_anserini(system.getProperty("java.class.path")))
    logger.debug("joining the running JVM with %s", ours)
    told = _load_agent(kit, ours)
    try:
        autoclass(jar.AGENT_CLASS)
    except JavaException as error:
        raise JavaError(
            f"could not join the JVM that already runs in this process ({told}): import"
            " hypserini.jvm and call start() before Pyserini is imported."
        ) from error
    _take_signals_back()


def _take_signals_back() -> None:
    """Make Ctrl-C a KeyboardInterrupt again, which a JVM started without -Xrs has put an end to."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)


def _loaded_anserini(class_path: str) -> Path:
    for entry in class_path.split(os.pathsep):
        name = os.path.basename(entry)
        if name.startswith("anserini-") and name.endswith(".jar"):
            return Path(entry)
    raise JavaError(
        "a JVM without Anserini already runs in this process: import hypserini.jvm and call start()"
        " before anything else starts Java."
    )


def _load_agent(kit: jdk.Jdk | None, ours: Path) -> str:
    jcmd = kit.tool("jcmd") if kit is not None else None
    if jcmd is None or not jcmd.is_file():
        jcmd = jdk.find(compiler=True).tool("jcmd")
    command = [str(jcmd), str(os.getpid()), "JVMTI.agent_load", str(ours)]
    with _without_chatter():
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=JOIN_TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return " ".join((done.stdout + done.stderr).split())


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back what is written to stderr, and pass on all but the JVM's usual chatter."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, AttributeError, ValueError):
        yield  # no stderr to speak of
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not line.startswith(_CHATTER):
                    os.write(2, line)
