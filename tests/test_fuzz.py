"""Every reader is given strange files; `python -m tests.fuzz` gives many more of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from fuzz.attempt import attempt
from fuzz.inputs import make, pack
from fuzz.readers import GROUPS, Reader, readers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def folders(base: Path, group: str) -> list[tuple[Reader, Path]]:
    """The readers of a group, each with the path of its file."""
    return [
        (reader, reader.prepare(base / group / str(number)))
        for number, reader in enumerate(readers(group))
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_valid_files_are_read(group: str, tmp_path: Path) -> None:
    for reader, path in folders(tmp_path, group):
        for seed in reader.seeds:
            path.write_bytes(seed)
            reader.read(path)


@pytest.mark.parametrize("group", GROUPS)
@settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(random=st.randoms(use_true_random=False), choice=st.integers(0, 99))
def test_strange_files_are_read_or_refused(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random: Random, choice: int
) -> None:
    monkeypatch.setenv("HYPSERINI_CACHE", str(tmp_path / "cache"))
    there = readers(group)
    reader = there[choice % len(there)]
    folder = tmp_path / str(choice % len(there))
    path = folder / reader.file if folder.exists() else reader.prepare(folder)
    data = make(random, reader)
    if path.suffix in (".txt", ".tsv", ".jsonl") and choice > 90:
        path, data = path.with_name(path.name + ".gz"), pack(random, data)
    path.write_bytes(data)
    _, fault = attempt(reader, path)
    if path.suffix == ".gz":
        path.unlink()
    assert fault is None, (reader.name, data)


@pytest.mark.parametrize("group", GROUPS)
def test_paths_that_lead_nowhere_are_refused(group: str, tmp_path: Path) -> None:
    loop, file = tmp_path / "loop", tmp_path / "file"
    loop.symlink_to(loop)
    file.write_text("")
    places = [tmp_path / "absent.tsv", loop, file / "below.tsv", Path("x" * 5000), Path("a\0b.tsv")]
    for reader, path in folders(tmp_path, group):
        if reader.name in ("stored document", "measure", "--set", "BEIR folder"):
            continue  # they read no file, or a folder above it
        for place in places:
            kind, fault = attempt(reader, place)
            assert (kind, fault) == ("refused", None), (reader.name, place)
        path.unlink()
        path.mkdir()
        if not reader.name.startswith("collection"):
            assert attempt(reader, path)[1] is None, reader.name
