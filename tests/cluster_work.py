"""What the tests have nodes of a cluster do; a module, so that the nodes can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from hypserini.errors import IndexingError


def die_once(folder: str, number: int) -> int:
    """Kill the process at the first call with a number, return its square at the second."""
    mark = Path(folder) / f"died-{number}"
    if number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refuse(number: int) -> int:
    """Raise an error of ours for one number."""
    if number == 1:
        raise IndexingError("the number 1 is refused: give another.")
    return number


def workers_at(function: str) -> list[int]:
    """The processes below this one in which Ray runs a function."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is(pid, function)]


def _is(pid: int, function: str) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        return title.startswith(f"ray::{function}") and os.getpid() in _above(pid)
    except OSError:
        return False  # it has just ended


def _above(pid: int) -> list[int]:
    """The processes that a process comes from, its parent first."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


class Echo:
    """Answers with what it is; can be told to die, or to be silent."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self._folder = Path(folder)

    def say(self, text: str) -> str:
        return f"{self.name} {text}"

    def die_once(self, name: str) -> str:
        mark = self._folder / f"echo-died-{name}"
        if name == self.name and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.name

    def die(self, name: str) -> str:
        if name == self.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.name

    def work(self, seconds: float) -> str:
        time.sleep(seconds)
        return self.name

    def refuse(self) -> None:
        raise IndexingError(f"{self.name} refuses: ask another.")
