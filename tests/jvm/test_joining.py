"""Joining a JVM that something else has started."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from processes import ROUND_TRIP, run

from hypserini import jvm
from hypserini.jvm import jdk

PYSERINI = """
from pyserini.pyclass import autoclass
autoclass("java.lang.System")
"""
BARE = """
import jnius_config
jnius_config.set_classpath(".")
import jnius
"""
JOIN = """
import os, sys
marker = os.dup(2)
from hypserini import jvm
jvm.start()
os.write(marker, b"--- joined ---")
"""
AT_HOME = "[[0.0, 1.0], [1.0, 0.0]]\n"


@pytest.mark.parametrize("before", [PYSERINI, BARE])
def test_joins_the_jvm_that_something_else_has_started(before: str, tmp_path: Path) -> None:
    home = str(jvm.find_jdk())
    done = run(textwrap.dedent(before) + JOIN + ROUND_TRIP, tmp_path / "index", JAVA_HOME=home)
    assert done.stdout == AT_HOME, done.stderr
    assert "agent" not in done.stderr


def test_a_running_jvm_that_is_too_old_is_named() -> None:
    old = [kit for home in jdk._from_path() if (kit := jdk.inspect(home)) and kit.version < 21]
    if not old:
        pytest.skip("the Java on the PATH is not old")
    code = """
        from hypserini.errors import JavaError
        from hypserini import jvm
        try:
            jvm.start()
        except JavaError as error:
            print(error)
    """
    printed = run(BARE + textwrap.dedent(code), JAVA_HOME=str(old[0].home)).stdout
    assert printed.startswith(f"this process already runs Java {old[0].version}, and hypserini")
    assert "import hypserini before" in printed
