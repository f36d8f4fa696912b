"""Tries in a copy of this process whether Java starts, where there are signs that it may not.

A JVM that cannot have the memory that it wants ends the process it was to run in. The trial takes
as long as a start, so it is made only where an option or a limit may be at fault.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable

from hypserini.jvm.chatter import telling

OPTION_VARIABLES = ("HYPSERINI_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
FEW_THREADS = 4096
"""Threads that a user may have; a JVM starts with two dozen, and others have theirs."""
TIMEOUT_SECONDS = 60


def is_doubtful() -> bool:
    """Whether options or limits of this process may keep Java from starting; where they can."""
    if not sys.platform.startswith("linux"):
        return False
    import resource

    def limit(name: int) -> float:
        soft = resource.getrlimit(name)[0]
        return float("inf") if soft == resource.RLIM_INFINITY else soft

    memory = min(limit(resource.RLIMIT_AS), limit(resource.RLIMIT_DATA))
    return (
        any(os.environ.get(name) for name in OPTION_VARIABLES)
        or memory < float("inf")
        or limit(resource.RLIMIT_NPROC) < FEW_THREADS
    )


def why_not(begin: Callable[[], object]) -> str | None:
    """Call `begin` in a forked copy of this process.

    Returns:
        None if it came back, or else what it printed. Without an answer within a minute, None.
    """
    readable, writable = os.pipe()
    with warnings.catch_warnings():
        # That other threads do not come along does not matter: the copy does nothing else.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _try(begin, writable)
    os.close(writable)
    said = None
    try:
        said = _read_all(readable, time.monotonic() + TIMEOUT_SECONDS)
    finally:
        os.close(readable)
        if said is None:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    return None if said is None or status == 0 else said or "it gave no reason"


def _try(begin: Callable[[], object], writable: int) -> None:
    """In the copy: what is printed goes to the pipe, whoever prints it."""
    status = 1
    # A JVM that runs out of memory in its first moments would leave a long report where we work.
    options = os.environ.get("JAVA_TOOL_OPTIONS", "")
    os.environ["JAVA_TOOL_OPTIONS"] = f"{options} -XX:+SuppressFatalErrorMessage"
    try:
        os.dup2(writable, 1)
        os.dup2(writable, 2)
        begin()
        status = 0
    except BaseException as error:
        os.write(writable, str(error).encode(errors="replace"))
    finally:
        os._exit(status)


def _read_all(readable: int, deadline: float) -> str | None:
    """All that is written until the other end closes; None when that takes too long."""
    data = b""
    while select.select([readable], [], [], max(0.0, deadline - time.monotonic()))[0]:
        block = os.read(readable, 65536)
        if not block:
            return telling(data).decode(errors="replace")
        data += block
    return None
