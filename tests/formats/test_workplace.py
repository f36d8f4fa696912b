"""Workplaces: one process at a time, told from a user's folder, free again when it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hypserini.formats.workplace import BusyError, ForeignError, Workplace

CLAIM = (
    "import os, sys, time\nfrom pathlib import Path\n"
    "from hypserini.formats.workplace import Workplace\n"
    "while time.time() < float(sys.argv[2]): pass\n"
    "place = Workplace(Path(sys.argv[1]))\ntry: place.claim()\n"
    "except Exception as error: sys.exit(type(error).__name__)\n"
    "place.note(pid=os.getpid())\n"
    "(place.folder / 'x').touch(); print('mine', flush=True); sys.stdin.read(); os._exit(9)"
)


def start(folder: Path, at: float = 0) -> subprocess.Popen[str]:
    """A process that claims the workplace at a time, and ends without giving it back."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CLAIM, str(folder), str(at)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_workplace_is_claimed_once_and_free_when_its_process_ends(tmp_path: Path) -> None:
    other = start(tmp_path / "work")
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    place = Workplace(tmp_path / "work")
    for _ in range(2):
        with pytest.raises(BusyError):
            place.claim()
    other.communicate()
    assert place.is_ours
    place.claim()
    assert place.notes == {"pid": other.pid}
    with pytest.raises(BusyError):  # threads are kept apart as processes are
        Workplace(tmp_path / "work").claim()
    place.note(much="x" * 100)
    place.note(little=1)
    assert place.notes == {"little": 1}
    (place.folder / "x").unlink()
    place.remove()
    assert list(tmp_path.iterdir()) == []


def test_of_many_at_the_same_instant_one_has_it(tmp_path: Path) -> None:
    at = time.time() + 1
    all_of_them = [start(tmp_path / "work", at) for _ in range(6)]
    deadline = time.monotonic() + 60
    while sum(process.poll() is not None for process in all_of_them) < 5:
        assert time.monotonic() < deadline, "more than one has it"
        time.sleep(0.05)
    said = [process.communicate() for process in all_of_them]
    assert sorted(out for out, _ in said) == ["", "", "", "", "", "mine\n"]
    assert sum("BusyError" in error for _, error in said) == 5


def test_a_users_folder_is_not_taken_and_an_empty_one_stays(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(ForeignError):
            Workplace(tmp_path / name).claim()
    (tmp_path / "empty").mkdir()
    place = Workplace(tmp_path / "empty")
    place.claim()
    place.remove()
    assert list((tmp_path / "empty").iterdir()) == []
    with pytest.raises(FileNotFoundError):
        Workplace(tmp_path / "no" / "parent").claim()


def test_what_a_user_put_into_it_stays(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "work")
    place.claim()
    (place.folder / "notes.txt").touch()
    place.remove()
    assert [path.name for path in place.folder.iterdir()] == ["notes.txt"]
    with pytest.raises(ForeignError):
        place.claim()
