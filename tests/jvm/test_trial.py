"""A JVM that cannot start is an error of ours, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from processes import run

from hypserini.jvm import trial

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no limits to set")

SEARCH = """
import sys
from hypserini.search.__main__ import main
raise SystemExit(main(sys.argv[1:]))
"""


def test_a_java_without_memory_is_an_error_and_no_run_is_begun(
    index: Path, topics_file: Path, tmp_path: Path
) -> None:
    flags = ["--index", index, "--topics", topics_file, "--output", tmp_path / "run.txt"]
    # torch fits into that; without -Xmx, Java would try to make do with what is left.
    limits = {"limits": "ulimit -v 6000000", "HYPSERINI_JAVA_OPTIONS": "-Xmx64g"}
    done = run(SEARCH, *flags, "--quiet", **limits)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert "does not start (" in line
    assert "the limits of this process" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", ["-Xmx1g -Xms2g", "-XX:+UseNoSuchCollector", "-Xmx99999g -Xms99999g", "-Xnonsense"]
)
def test_options_that_java_cannot_start_with_are_an_error(options: str) -> None:
    code = """
        from hypserini import jvm
        from hypserini.errors import JavaError
        try:
            jvm.start()
        except JavaError as error:
            print(error)
    """
    done = run(code, HYPSERINI_JAVA_OPTIONS=options)
    assert "does not start (" in done.stdout
    assert "check HYPSERINI_JAVA_OPTIONS" in done.stdout
    assert done.stderr == ""


def test_options_that_are_no_options_are_named() -> None:
    done = run("from hypserini import jvm; jvm.start()", HYPSERINI_JAVA_OPTIONS="-Dx='a")
    assert "HYPSERINI_JAVA_OPTIONS (-Dx='a) cannot be split" in done.stderr


def test_a_trial_tells_what_was_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert trial.why_not(lambda: os.write(1, b"no matter")) is None
    assert trial.why_not(lambda: os.write(2, b"not enough of it") and os._exit(1)) == (
        "not enough of it"
    )
    assert trial.why_not(lambda: 1 / 0) == "division by zero"
    assert trial.why_not(lambda: os._exit(3)) == "it gave no reason"
    assert capfd.readouterr() == ("", "")


def test_a_trial_that_hangs_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TIMEOUT_SECONDS", 0.2)
    before = time.monotonic()
    assert trial.why_not(lambda: time.sleep(60)) is None
    assert time.monotonic() - before < 10


def test_there_is_no_trial_without_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in trial.OPTION_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    import resource

    free = resource.RLIM_INFINITY
    limits = dict.fromkeys((resource.RLIMIT_AS, resource.RLIMIT_DATA), free)
    limits[resource.RLIMIT_NPROC] = 50_000
    monkeypatch.setattr(resource, "getrlimit", lambda name: (limits[name], free))
    assert not trial.is_doubtful()
    for name, little in ((resource.RLIMIT_AS, 10**9), (resource.RLIMIT_NPROC, 100)):
        monkeypatch.setitem(limits, name, little)
        assert trial.is_doubtful()
        monkeypatch.setitem(limits, name, free)
    monkeypatch.setenv("HYPSERINI_JAVA_OPTIONS", "-Xmx1g")
    assert trial.is_doubtful()
