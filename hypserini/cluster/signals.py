"""Keeps the process's handlers of faults while Ray is joined and left.

Java lives by its own handler of SIGSEGV: it is how it notices null references and stops threads.
Ray puts another in its place when it is joined, and none when it is left; a Java that was running
before would end the process at its next fault.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")
_ROOM = 512
"""Bytes, more than the `struct sigaction` of any system has."""


@contextmanager
def fault_handlers_kept() -> Iterator[None]:
    """Put the handlers of faults back at the end, whatever was made of them meanwhile."""
    if sys.platform == "win32":
        yield
        return
    libc = ctypes.CDLL(None)
    kept = {}
    for name in FAULTS:
        number = getattr(signal, name)
        handler = ctypes.create_string_buffer(_ROOM)
        if libc.sigaction(number, None, handler) == 0:
            kept[number] = handler
    try:
        yield
    finally:
        for number, handler in kept.items():
            libc.sigaction(number, handler, None)
