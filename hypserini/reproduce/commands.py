"""The commands of the rows: printed as a user can copy them, run, and not run again."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from hypserini.errors import shorten
from hypserini.formats.output import atomic_output

HUB = "hf"
"""The hub's own command line, which comes with transformers."""

_HOW = (
    *("--quiet", "--device", "--batch-size", "--threads", "--memory", "--commit-every"),
    *("--cluster", "--cluster-cpus", "--cluster-gpus", "--explain-cost", "--optimize"),
)
"""Flags that change how something is made, and not what."""

_KEPT = 8192
"""Characters kept of what a command said last."""

_ERROR = re.compile(r"(?:: error|^Error): ")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


class CommandFailed(Exception):
    """A command that ended with an error; its text is the command's own sentence."""


def written(command: Sequence[str]) -> str:
    """A command as a user types it; its first word is a module, or `hf`."""
    head = [] if command[0] == HUB else ["python", "-m"]
    return shlex.join([*head, *command])


def run(command: Sequence[str], *, capture: bool = False) -> str:
    """Run a command; what it says to stderr is shown as it comes.

    Args:
        command: a module and its flags.
        capture: return what it prints, in place of showing it.

    Raises:
        CommandFailed: it ended with an error.
    """
    module = "huggingface_hub.cli.hf" if command[0] == HUB else command[0]
    process = subprocess.Popen(
        [sys.executable, "-m", module, *command[1:]],
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.PIPE,
    )
    said = bytearray()
    assert process.stderr is not None
    listener = threading.Thread(target=_pass_on, args=(process.stderr, said), daemon=True)
    listener.start()
    try:
        printed = process.stdout.read() if process.stdout else b""
        status = process.wait()
    finally:
        if process.poll() is None:  # we are interrupted: it must not go on alone
            process.terminate()
            process.wait()
        listener.join()
    if status:
        raise CommandFailed(_sentence(said.decode(errors="replace"), command, status))
    return printed.decode(errors="replace")


def _pass_on(stream: IO[bytes], said: bytearray) -> None:
    while chunk := stream.read1(_KEPT):  # type: ignore[attr-defined]
        sys.stderr.write(chunk.decode(errors="replace"))
        sys.stderr.flush()
        said += chunk
        del said[:-_KEPT]


def _sentence(said: str, command: Sequence[str], status: int) -> str:
    """The error that a command ended with: our commands' own sentence, or its last line."""
    plain = _COLOR.sub("", said).replace("\r", "\n")
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    last = _ERROR.split(errors[-1])[-1] if errors else lines[-1] if lines else "it said nothing"
    if command[0] == HUB:
        return (
            f"{command[2]} cannot be had from the hub ({shorten(last, 120)}): try again with a "
            "connection to the web, or give a folder of yours."
        )
    if errors and status > 0:
        return last
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"{command[0]} {how}: {shorten(last, 200)}"


def was_made_by(product: Path, command: Sequence[str]) -> bool | None:
    """Whether this command made a product; None where nothing beside it says so."""
    try:
        return _note(product).read_text(encoding="utf-8").strip() == _noted(command)
    except (OSError, UnicodeDecodeError):
        return None


def note(product: Path, command: Sequence[str]) -> None:
    """Write beside a product which command made it."""
    with atomic_output(_note(product)) as file:
        file.write(_noted(command) + "\n")


def _noted(command: Sequence[str]) -> str:
    """A command without the flags that change how and not what is made, in UTF-8."""
    words: list[str] = []
    leaving = False
    for word in command:
        if word.startswith("--"):
            leaving = word.partition("=")[0] in _HOW
        if not leaving:
            words.append(word)
    return written(words).encode(errors="replace").decode()


def forget(product: Path) -> None:
    """Take that note away, before the product is made anew."""
    _note(product).unlink(missing_ok=True)


def _note(product: Path) -> Path:
    return product.with_name(f"{product.name}.command")
