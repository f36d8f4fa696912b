"""Python processes of their own, for what a process can be or do only once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

ROUND_TRIP = """
import sys, numpy as np
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
with IndexWriter(sys.argv[1], dimension=2) as writer:
    writer.add(["a", "b"], np.eye(2, dtype=np.float32), ["x", "y"], ["{}", "{}"])
with Index(sys.argv[1]) as index:
    print(index.vectors(["b", "a"]).tolist())
"""
"""Writes an index into the folder of the first argument, and prints two vectors of it."""


def run(
    code: str, *arguments: object, limits: str = "", **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process.

    Args:
        code: Python.
        arguments: For its `sys.argv`.
        limits: Shell commands before it, such as `ulimit -v 4000000`.
        environment: Variables that are set; None: that are not.
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    if limits:
        command = ["bash", "-c", f'{limits} && exec "$@"', "bash", *command]
    variables = {**os.environ, **environment}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={name: value for name, value in variables.items() if value is not None},
        timeout=120,
        check=False,
    )


def piped(path: Path) -> Path:
    """A named pipe beside a file, which what is in the file comes out of, once."""
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()), daemon=True).start()
    return pipe
