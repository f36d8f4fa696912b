"""Runs commands of hypserini in processes that are killed at a wanted point, for test_crash.py.

`python crash_runner.py` loads the libraries once and forks for each command, so that hundreds of
kills take minutes. It reads a JSON line a command and answers with one; `Runner` is the other end.
A point is the n-th call of one of POINTS within the working folder, before or after it; or so many
seconds after the n-th call of one of STEPS, which take their time in Java.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

POINTS = ("mkdir", "rmdir", "unlink", "replace", "rename", "fsync", "ftruncate", "chmod")
STEPS = ("start", "add", "commit", "close", "put")


@dataclass(frozen=True)
class Point:
    """Where a process is killed: at the `number`-th call (from 1) of `name`."""

    name: str
    number: int = 1
    after: bool = False
    seconds: float | None = None


@dataclass
class Outcome:
    """What became of a command: its status (-9: killed), what it said, its calls and its time."""

    status: int
    said: str
    calls: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Runner:
    """Starts the process that forks, and has it run commands."""

    def __init__(self, folder: Path, notes: Path) -> None:
        """`folder` is where commands run, `notes` where their output is kept meanwhile."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(notes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, at: Point | None = None) -> Outcome:
        """Run `python -m hypserini...`, the module's name first, until it ends or is killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"arguments": [*map(str, arguments)], "at": at and asdict(at)}
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# --- the process that forks, and its children -----------------------------------------------------


def serve(folder: str, notes: str) -> None:
    """Answer commands until there are none."""
    import torch

    torch.set_num_threads(1)  # no threads of its own, which a fork would lose
    import hypserini.encode.__main__
    import hypserini.encode.saved
    import hypserini.index.__main__
    import hypserini.index.build
    import hypserini.index.from_vectors
    import hypserini.search.__main__
    import hypserini.search.command.tasks
    import hypserini.train.teach.__main__  # noqa: F401
    from hypserini.modeling import load_model

    load_model("hypserini-small", device="cpu")
    for line in sys.stdin:
        wanted = json.loads(line)
        at = Point(**wanted["at"]) if wanted["at"] else None
        print(json.dumps(asdict(fork(folder, notes, wanted["arguments"], at))), flush=True)


def fork(folder: str, notes: str, arguments: list[str], at: Point | None) -> Outcome:
    """Run one command in a child, and kill it where that is wanted."""
    said, calls = Path(notes) / "said", Path(notes) / "calls"
    calls.unlink(missing_ok=True)
    reading, writing = os.pipe()
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child(folder, arguments, at, writing, said, calls)
    os.close(writing)
    if at is not None and at.seconds is not None:
        # The child says when the step begins; without a word it has ended.
        select.select([reading], [], [])
        if os.read(reading, 1):
            time.sleep(at.seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    seconds = time.perf_counter() - started
    counted = json.loads(calls.read_text()) if calls.exists() else {}
    text = said.read_text(errors="replace")
    return Outcome(os.waitstatus_to_exitcode(status), text, counted, seconds)


def child(
    folder: str, arguments: list[str], at: Point | None, signals: int, said: Path, calls: Path
) -> None:
    """Run the command with every point watched; does not return."""
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    counted: Counter[str] = Counter()
    watch(folder, at, signals, counted)
    status = 1
    try:
        main = __import__(f"{arguments[0]}.__main__", fromlist=["main"]).main
        status = main(arguments[1:])
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        calls.with_suffix(".part").write_text(json.dumps(counted))
        calls.with_suffix(".part").replace(calls)  # whole, or not there if that is killed
        os._exit(status)


def watch(folder: str, at: Point | None, signals: int, counted: Counter[str]) -> None:
    """Count the calls of all points and steps, and die at the wanted one."""

    def reach(name: str, after: bool) -> None:
        counted[name] += not after
        if at is None or (name, counted[name], after) != (at.name, at.number, at.after):
            return
        if at.seconds is None:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(signals, b".")

    def watched(name: str, call: Callable[..., Any], always: bool) -> Callable[..., Any]:
        def calling(*arguments: Any, **named: Any) -> Any:
            first = arguments[0]
            inside = (
                always or isinstance(first, int) or str(os.path.abspath(first)).startswith(folder)
            )
            if inside:
                reach(name, after=False)
            result = call(*arguments, **named)
            if inside:
                reach(name, after=True)
            return result

        return calling

    from hypserini.index import place
    from hypserini.index.writer import IndexWriter

    for name in POINTS:
        setattr(os, name, watched(name, getattr(os, name), always=False))
    for name in ("add", "commit", "close"):
        setattr(IndexWriter, name, watched(name, getattr(IndexWriter, name), always=True))
    put = place._replacement

    def replacing(method: str, *folders: Path) -> Any:
        call = watched("put", put, always=True) if method == "put" else put
        return call(method, *folders)

    place._replacement = replacing
    reach("start", after=False)


if __name__ == "__main__":
    serve(*sys.argv[1:])
