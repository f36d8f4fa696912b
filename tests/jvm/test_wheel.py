"""A wheel without the jar of each Lucene line fails the check that `make wheel` ends with."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hypserini.jvm.jar import jar_name

ROOT = Path(__file__).resolve().parents[2]
BOTH = [jar_name(9), jar_name(10)]


@pytest.mark.parametrize(
    ("jars", "status"),
    [(BOTH, 0), (BOTH[:1], 1), ([*BOTH, "hypserini-lucene9-000000000000.jar"], 1), ([], 1)],
)
def test_a_wheel_carries_the_jar_of_each_line_and_no_stale_one(tmp_path, jars, status) -> None:
    with zipfile.ZipFile(tmp_path / "hypserini-0-py3-none-any.whl", "w") as wheel:
        for name in jars:
            wheel.writestr(f"hypserini/jars/{name}", b"")
    checked = subprocess.run(
        [sys.executable, ROOT / ".ci" / "check_wheel.py", tmp_path],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == status, checked.stderr
