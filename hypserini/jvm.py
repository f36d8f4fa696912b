"""The one JVM of this process: starts it quietly, or joins the one that Pyserini started."""

from __future__ import annotations

import ctypes
import logging
import math
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hypserini import jar, jdk
from hypserini.errors import JavaError

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
    """Return the home of a JDK 21 or newer, as JAVA_HOME names one; see `hypserini.jdk.find`."""
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
    java = jdk.find()
    anserini = jar.anserini_jar()
    ours = jar.fitting_jar(anserini)
    # Read once, when jnius is imported; and right for what this process may start later, too.
    os.environ["JAVA_HOME"] = str(java.home)
    import jnius_config

    jnius_config.add_options(*_options(java))
    jnius_config.add_classpath(str(ours), str(anserini))
    logger.debug("starting Java %d at %s with %s", java.version, java.home, anserini)
    with _without_chatter():
        try:
            import jnius  # noqa: F401  importing it starts the JVM
        except Exception as error:
            raise JavaError(
                f"Java {java.version} at {java.home} did not start ({error}): see what it said"
                " above, and check HYPSERINI_JAVA_OPTIONS and JAVA_TOOL_OPTIONS."
            ) from error


def _options(java: jdk.Jdk) -> list[str]:
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
    if java.has_module(jdk.VECTOR_MODULE):
        options.append(f"--add-modules={jdk.VECTOR_MODULE}")
    if java.version >= 23:
        options.append("--sun-misc-unsafe-memory-access=allow")
    return options + shlex.split(os.environ.get("HYPSERINI_JAVA_OPTIONS", ""))


# --- joining --------------------------------------------------------------------------------------


def _join() -> None:
    from jnius import JavaException, autoclass

    system = autoclass("java.lang.System")
    java = jdk.inspect(Path(system.getProperty("java.home")))
    version = int(system.getProperty("java.specification.version").rpartition(".")[2])
    if version < jdk.MINIMUM:
        raise JavaError(
            f"this process already runs Java {version}, and hypserini needs {jdk.MINIMUM} or newer:"
            " set JAVA_HOME to such a JDK before Python starts, or import hypserini.jvm and call"
            " start() before Pyserini is imported."
        )
    ours = jar.fitting_jar(_loaded_anserini(system.getProperty("java.class.path")))
    logger.debug("joining the running JVM with %s", ours)
    told = _load_agent(java, ours)
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


def _load_agent(java: jdk.Jdk | None, ours: Path) -> str:
    jcmd = java.tool("jcmd") if java is not None else None
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


# --- what crosses the border ----------------------------------------------------------------------


def pack(strings: Sequence[str], errors: str = "replace") -> bytes:
    """Pack strings for Java's Texts: their number and lengths as int32, then their UTF-8 bytes."""
    encoded = [string.encode("utf-8", errors) for string in strings]
    lengths = np.fromiter((len(encoded), *map(len, encoded)), "<i4", len(encoded) + 1)
    return lengths.tobytes() + b"".join(encoded)


def pack_path(path: Path) -> bytes:
    """Pack a path; absolute, for Java keeps the working folder that Python had at its start."""
    return pack([str(path.absolute())], errors="surrogateescape")


def unpack(packed: Any) -> list[str]:
    """Unpack strings that Java's Texts packed."""
    data = packed.tostring()
    count = int.from_bytes(data[:4], "little")
    ends = np.cumsum(np.frombuffer(data, "<i4", count + 1, 0)).tolist()
    first = 4 * (count + 1) - count  # the number of strings stands before the lengths
    return [data[first + start : first + end].decode("utf-8") for start, end in pairwise(ends)]


def shared_array(buffer: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """View a Java SharedBuffer as an array; the view keeps the memory alive."""
    count = math.prod(shape)
    memory = _memory(count * np.dtype(dtype).itemsize).from_address(buffer.address())
    memory.java_buffer = buffer
    return np.frombuffer(memory, dtype, count).reshape(shape)


@lru_cache(256)
def _memory(size: int) -> Any:
    # A subclass has attributes, a plain ctypes array has none.
    return type("SharedMemory", (ctypes.c_char * size,), {})


def unpack_pairs(packed: Any) -> dict[str, str]:
    """Unpack name, value, name, value, ... to a dictionary."""
    texts = unpack(packed)
    return dict(zip(texts[::2], texts[1::2], strict=True))


def reason(error: Any) -> str:
    """What to tell a user of a JavaException: its message, and its kind unless it is ours."""
    message = str(error.innermessage or "no further message")
    if error.classname == "io.hypserini.Refused":
        return message
    if error.classname == "java.lang.OutOfMemoryError":
        return f"{message}: give Java more with HYPSERINI_JAVA_OPTIONS=-Xmx16g, or the like."
    return f"{message} ({error.classname.rpartition('.')[2]})"
