"""What the tests have nodes of a cluster do; a module, so that the nodes can import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypserini.cluster.connection import import_ray
from hypserini.errors import IndexingError

TESTS = Path(__file__).parent
NODE: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80 << 20}
"""What a node of the tests' cluster has."""


@contextmanager
def three_nodes() -> Iterator[Any]:
    """A cluster of three nodes on this machine; its workers import what the tests import."""
    import_ray()
    from ray.cluster_utils import Cluster

    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(TESTS.parent), str(TESTS), *filter(None, [path])]
    )
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(**NODE)
    # Nodes that are added later may be by threads, where no handler of signals can be set.
    cluster._shutdown_at_exit = False
    try:
        yield cluster
    finally:
        cluster.shutdown()
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path


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

    def die_times(self, times: int) -> str:
        died = len(list(self._folder.glob("died-*")))
        if died < times:
            (self._folder / f"died-{died}").touch()
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


class Place:
    """Answers where it is; the first that is told to die does."""

    def __init__(self, folder: str) -> None:
        self._mark = Path(folder) / "died"

    def pid(self) -> int:
        return os.getpid()

    def niceness(self) -> int:
        return os.nice(0)

    def die_once(self) -> str:
        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "died once"
