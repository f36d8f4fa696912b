"""Outputs: whole or not at all, through links, straight into devices, and in a sentence if not."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import files_of_at_most

from hypserini.errors import ModelError, OutputError
from hypserini.formats import output
from hypserini.formats.output import (
    atomic_folder,
    atomic_output,
    check_new_folder,
    check_writable,
    descriptor_of,
)


def write(path: object, text: str = "new\n") -> None:
    with atomic_output(str(path)) as file:
        file.write(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def ended_pid() -> int:
    """The number of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.txt"

    def fail(before: str | None) -> None:
        with atomic_output(path) as file:
            file.write("half")
            file.flush()
            assert (path.read_text() if path.exists() else None) == before
            raise ModelError("no")

    with pytest.raises(ModelError):
        fail(None)
    assert names(path.parent) == []
    write(path, "old\n")
    with pytest.raises(ModelError):
        fail("old\n")
    assert path.read_text() == "old\n"
    write(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert names(path.parent) == ["run.txt"]


def test_a_name_that_ends_in_gz_is_compressed_and_bytes_are_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "run.gz", "a\nb\n")
    assert gzip.decompress((tmp_path / "run.gz").read_bytes()) == b"a\nb\n"
    with atomic_output(tmp_path / "x.gz", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "x.gz").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("there", [True, False], ids=["file", "nothing-yet"])
def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path, there: bool) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if there:
        (disk / "target.txt").write_text("old\n")
    (tmp_path / "second.txt").symlink_to("disk/target.txt")
    (tmp_path / "latest.txt").symlink_to("second.txt")
    with atomic_output(tmp_path / "latest.txt") as file:
        file.write("new\n")
        assert all(name.startswith((".target.txt.", "target")) for name in names(disk))
    assert (tmp_path / "latest.txt").is_symlink()
    assert (tmp_path / "second.txt").is_symlink()
    assert (disk / "target.txt").read_text() == "new\n"
    assert names(disk) == ["target.txt"]


def test_the_mode_of_a_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("old\n")
    path.chmod(0o600)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    null, full = tmp_path / "null", tmp_path / "full"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    (tmp_path / "link").symlink_to("null")
    write(null)
    write(tmp_path / "link", "x" * 200_000)
    for text in ("little", "x" * 200_000):
        with pytest.raises(OutputError, match=r"cannot write .*full \(No space left on device\)"):
            write(full, text)
    assert stat.S_ISCHR(null.stat().st_mode)
    assert stat.S_ISCHR(full.stat().st_mode)
    assert names(tmp_path) == ["full", "link", "null"]


def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    check_writable(pipe)
    write(pipe, "x" * 200_000)  # more than the pipe holds
    reader.join(10)
    assert got == ["x" * 200_000]
    assert pipe.is_fifo()


def test_a_fifo_that_nobody_reads_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(output, "READER_SECONDS", 0.1)
    with pytest.raises(OutputError, match="nobody reads it"):
        write(pipe)
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="descriptors have no paths here")
def test_an_open_descriptor_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    check_writable(f"/dev/fd/{writing}")
    write(f"/dev/fd/{writing}", "to the pipe\n")
    assert os.read(reading, 100) == b"to the pipe\n"
    with pytest.raises(OutputError, match=f"cannot write /dev/fd/{reading}"):
        check_writable(f"/dev/fd/{reading}")
    os.close(reading)
    os.close(writing)
    with pytest.raises(OutputError, match=f"cannot write /dev/fd/{writing}"):
        write(f"/dev/fd/{writing}")
    # As `--output /dev/stdout >> file` does: what is in the file stays.
    path = tmp_path / "log.txt"
    path.write_text("before\n")
    with open(path, "a") as file:
        (tmp_path / "stdout").symlink_to(f"/dev/fd/{file.fileno()}")
        assert descriptor_of(tmp_path / "stdout") == file.fileno()
        write(tmp_path / "stdout")
    assert path.read_text() == "before\nnew\n"
    assert descriptor_of(path) is None


def test_a_write_that_fails_is_told_and_leaves_what_was(tmp_path: Path) -> None:
    for path, mode in ((tmp_path / "a.txt", "w"), (tmp_path / "b.gz", "w"), (tmp_path / "c", "wb")):
        path.write_text("old\n")
        data = os.urandom(200_000)
        with pytest.raises(OutputError, match=rf"cannot write {path} \(File too large\)"):
            with files_of_at_most(1000), atomic_output(path, mode) as file:
                file.write(data if mode == "wb" else data.hex())
        assert path.read_text() == "old\n"
    assert names(tmp_path) == ["a.txt", "b.gz", "c"]


def test_a_full_disk_is_told(small_disk, tmp_path: Path) -> None:
    disk = small_disk("100k")
    with pytest.raises(OutputError, match="No space left on device"):
        write(disk / "run.txt", "x" * 200_000)
    with (
        pytest.raises(OutputError, match="No space left on device"),
        atomic_folder(disk / "q") as q,
    ):
        (q / "part").write_text("x" * 200_000)
    assert names(disk) == []


def test_a_file_is_on_the_disk_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(*paths: str) -> None:
        done.append("rename")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write(tmp_path / "run.txt")
    assert done == ["file", "rename", "folder"]
    done.clear()
    with atomic_folder(tmp_path / "q") as folder:
        (folder / "one").touch()
        (folder / "two").touch()
    assert done == ["file", "file", "folder", "rename", "folder"]


def test_what_killed_processes_left_is_removed_and_no_more(tmp_path: Path, ended_pid: int) -> None:
    left = [f".run.txt.{ended_pid}.part", f".run.txt.{ended_pid}-3.part"]
    left.append(f".run.txt.{os.getpid()}-999.part")  # of one that had our number, in a container
    kept = [f".run.txt.{os.getppid()}.part", f".other.txt.{ended_pid}.part", "run.txt.part"]
    for name in (*left, *kept):
        (tmp_path / name).write_text("half")
    (tmp_path / f".q.{ended_pid}-0.part").mkdir()
    (tmp_path / f".q.{ended_pid}-0.part" / "x").touch()
    with atomic_output(tmp_path / "run.txt") as file:
        file.write("new\n")
        with atomic_output(tmp_path / "run.txt") as second:  # it leaves the first one's part alone
            second.write("second\n")
    assert (tmp_path / "run.txt").read_text() == "new\n"
    assert names(tmp_path) == sorted([*kept, f".q.{ended_pid}-0.part", "run.txt"])
    with atomic_folder(tmp_path / "q"):
        pass
    assert names(tmp_path) == sorted([*kept, "q", "run.txt"])


def test_a_killed_process_leaves_a_part_that_the_next_one_removes(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom hypserini.formats.output import atomic_output\n"
        "with atomic_output(sys.argv[1]) as file:\n"
        "    file.write('half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run.txt")], check=False)
    assert done.returncode == -9
    [part] = names(tmp_path)
    assert part.endswith(".part")
    write(tmp_path / "run.txt")
    assert names(tmp_path) == ["run.txt"]


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "q") as folder:
        (folder / "x").write_text("x")
        assert not (tmp_path / "q").exists()
        with pytest.raises(OutputError, match="another process is writing"):
            check_new_folder(tmp_path / "q")
    assert names(tmp_path / "q") == ["x"]
    with pytest.raises(OutputError, match="exists"), atomic_folder(tmp_path / "q"):
        pass

    def come_too_late() -> None:
        with atomic_folder(tmp_path / "r"):
            (tmp_path / "r").mkdir()
            (tmp_path / "r" / "theirs").touch()

    with pytest.raises(OutputError, match="made by another process meanwhile"):
        come_too_late()
    assert names(tmp_path / "r") == ["theirs"]
    assert names(tmp_path) == ["q", "r"]


def test_what_cannot_be_written_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for path in (
        "",
        tmp_path,
        tmp_path / "file" / "x",
        tmp_path / "loop" / "x",
        tmp_path / ("x" * 256),
    ):
        with pytest.raises(OutputError):
            write(path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write("~/run.txt")
    write(tmp_path / ("y" * 255))
    assert (tmp_path / "home" / "run.txt").read_text() == "new\n"
    assert names(tmp_path) == ["file", "home", "loop", "y" * 255]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is protected from root")
def test_a_write_protected_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text("old\n")
    path.chmod(0o444)
    with pytest.raises(OutputError, match="write-protected"):
        write(path)
    assert path.read_text() == "old\n"
