"""Opening text: line breaks, byte-order marks, gzip, and the errors of files."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypserini.errors import CollectionError, RunError
from hypserini.formats import reading
from hypserini.formats.reading import is_file, read_json, read_lines, read_text

BOM = "\ufeff".encode()


def lines(path: Path) -> list[tuple[int, str]]:
    return list(read_lines(path, RunError, "run"))


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
def test_lines_have_their_numbers_whatever_the_line_breaks(tmp_path, break_: str) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(
        break_.join(["\ufeffone ", "", " \t", "zwei é", "drei\u2028vier", ""]).encode()
    )
    assert lines(path) == [(1, "one "), (4, "zwei é"), (5, "drei\u2028vier")]
    assert read_text(path, RunError) == "one \n\n \t\nzwei é\ndrei\u2028vier\n"


def test_members_of_a_gzip_file_follow_each_other_each_with_its_mark(tmp_path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(b"".join(gzip.compress(BOM + part) for part in (b"a\nb\n", b"c\n", b"")))
    assert lines(path) == [(1, "a"), (2, "b"), (3, "c")]
    path.write_bytes(gzip.compress(b"a\nb"[:2]) + gzip.compress(b"b\n"))
    assert lines(path) == [(1, "a"), (2, "b")]


def test_nul_becomes_what_a_run_can_hold(tmp_path) -> None:
    (tmp_path / "f").write_bytes(b"a\0b\n")
    assert lines(tmp_path / "f") == [(1, "a\ufffdb")]


@settings(max_examples=200, deadline=None, database=None)
@given(
    parts=st.lists(st.text(st.characters(exclude_characters="\r\n\0\ufeff", codec="utf-8"))),
    break_=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(1, 40),
    packed=st.booleans(),
    mark=st.booleans(),
)
def test_lines_are_those_that_were_written(tmp_path_factory, parts, break_, block, packed, mark):
    path = tmp_path_factory.getbasetemp() / ("lines.gz" if packed else "lines")
    data = break_.join(parts).encode()
    data = BOM * mark + data
    path.write_bytes(gzip.compress(data) if packed else data)
    before, reading._BLOCK = reading._BLOCK, block
    try:
        found = lines(path)
    finally:
        reading._BLOCK = before
    assert found == [(n, part) for n, part in enumerate(parts, 1) if part.strip()]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("f.txt", b"a\nb\ncaf\xe9\n", r"f\.txt, line 3: not UTF-8 \(byte 0xe9\): convert"),
        ("f.txt", "a\n".encode("utf-16"), r"line 1: not UTF-8 \(byte 0xff\)"),
        ("f.txt", b"a\n\xed\xa0\x80\n", r"line 2: not UTF-8 \(byte 0xed\)"),
        ("f.txt", gzip.compress(b"a\n", mtime=0), r"line 1: gzipped, .*end it in \.gz"),
        ("f.gz", b"a\n", r"f\.gz is a damaged gzip file \(Not a gzipped file"),
        (
            "f.gz",
            gzip.compress(b"a\n" * 999, mtime=0)[:-9],
            r"f\.gz is a damaged gzip file \(.*ended",
        ),
        (
            "f.gz",
            gzip.compress(random.Random(0).randbytes(999), mtime=0)[:99],
            r"is a damaged gzip file",
        ),
        ("f.gz", gzip.compress(b"a\n", mtime=0) + b"garbage", r"is a damaged gzip file"),
        ("f.gz", gzip.compress(b"a\n", mtime=0)[:12] + b"\xff" * 12, r"is a damaged gzip file"),
        ("f.gz", gzip.compress(b"a\n\xff\n", mtime=0), r"f\.gz, line 2: not UTF-8"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for read in (lines, lambda path: read_text(path, RunError)):
        with pytest.raises(RunError, match=message):
            read(path)


def test_what_stands_before_a_fault_is_read_first(tmp_path) -> None:
    (tmp_path / "f").write_bytes(b"a\nb\n\xff\n")
    found = read_lines(tmp_path / "f", RunError)
    assert [next(found), next(found)] == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch, packed: bool) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1 << 20)
    path = tmp_path / ("f.gz" if packed else "f")
    with gzip.open(path, "wb", 1) if packed else open(path, "wb") as file:
        file.write(b"short\n")
        for _ in range(40):
            file.write(b"x" * (1 << 20))
    tracemalloc.start()
    with pytest.raises(RunError, match=r"line 2: longer than 1 MiB"):
        lines(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20
    with pytest.raises(RunError, match="longer than 2 MiB"):
        read_text(path, RunError, "run", 2 << 20)


def test_paths_that_lead_nowhere(tmp_path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path / "absent", r"the run .*absent does not exist"),
        (tmp_path, r"cannot be read \(Is a directory\)"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path / "file" / "below", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("a\0b", "does not exist"),
    ):
        assert not is_file(path)
        with pytest.raises(RunError, match=message):
            lines(path)


def test_a_pipe_is_a_file(tmp_path) -> None:
    end, other = os.pipe()
    os.write(other, b"a\nb\n")
    os.close(other)
    path = Path(f"/dev/fd/{end}")
    if not path.exists():
        pytest.skip("no /dev/fd here")
    assert is_file(path)
    assert lines(path) == [(1, "a"), (2, "b")]
    os.close(end)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', r"f, line 2: malformed JSON \(Expecting ':'"),
        ("[" * 100_000, r"line 1: malformed JSON \(nested too deeply\)"),
        ("9" * 5000, r"a number has thousands of digits"),
        ("", r"malformed JSON"),
    ],
)
def test_malformed_json_is_one_sentence(tmp_path, text: str, message: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(CollectionError, match=message):
        read_json(tmp_path / "f", CollectionError)
