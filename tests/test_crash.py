"""Two hundred kills: at every point where a command renames, syncs or commits, and at random times.

After each, what is there is sound, nothing of before is lost, what the next command says is true,
and to go on ends with the very same documents and leaves nothing over. `make test-crash` runs it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from crash_runner import Outcome, Point
from crash_work import INDEX, Work, commit_of, docids, files_of, is_clean, kill_all, stored, working

from hypserini.encode.saved import SavedQNets
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index

pytestmark = pytest.mark.slow

ENCODING = (*INDEX, "--collection", "new.jsonl", "--batch-size", "2")
VECTORS = (*INDEX, "--vectors-from", "vectors/a.jsonl", "vectors/b.jsonl", "vectors/c.jsonl")
SEARCH = (
    "hypserini.search",
    "--index",
    "ix",
    "--topics",
    "t.tsv",
    "--output",
    "run.txt",
    "--quiet",
)
ENCODE = ("hypserini.encode", "--topics", "t.tsv", "--output", "q", "--batch-size", "2", "--quiet")


# --- scenarios ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    with working(tmp_path_factory.mktemp("crash")) as made:
        yield made


def state_of(work: Work, name: str) -> Path:
    """The state that a scenario begins with; one that a kill must make first is kept."""
    base = work.reference.parent
    if not (base / name).exists():
        begun, command, flags = {
            "half": ("empty", ENCODING, ()),
            "half-overwritten": ("old", ENCODING, ("--overwrite",)),
            "half-vectors": ("empty", VECTORS, ()),
        }[name]
        work.reset(base / begun)
        killed = work.runner.run(*command, *flags, at=Point("commit", 3))
        assert killed.status == -9
        shutil.copytree(work.folder, base / name)
    return base / name


SCENARIOS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], int]] = {
    # name: state, command, flags, kills
    "build": ("empty", ENCODING, (), 38),
    "overwrite": ("old", ENCODING, ("--overwrite",), 48),
    "resume": ("half", ENCODING, ("--resume",), 22),
    "resume-overwrite": ("half-overwritten", ENCODING, ("--resume",), 26),
    "restart": ("half", ENCODING, ("--overwrite",), 10),
    "vectors": ("empty", VECTORS, (), 16),
    "vectors-overwrite": ("old", VECTORS, ("--overwrite",), 14),
    "vectors-resume": ("half-vectors", VECTORS, ("--resume",), 8),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_killed_build(name: str, work: Work) -> None:
    state, command, flags, kills = SCENARIOS[name]
    inputs = {path.name for path in (work.reference.parent / "empty").iterdir()}
    index, building = work.folder / "ix", work.folder / "ix.building"
    vectors = command is VECTORS
    reference = reference_of(work, command)

    def check(killed: Outcome) -> None:
        held = check_sound()
        begun = commit_of(building) is not None
        if held or begun:
            check_told(held, begun)
        recover(held)
        assert work.names() - inputs == {"ix"}
        assert sorted(os.listdir(index)) == files_of(index)
        assert is_clean(index)
        texts, rows = stored(index)
        assert texts == reference[0]
        assert np.allclose(rows, reference[1], atol=1e-5)

    def check_sound() -> str | None:
        """What is at the index's place: nothing, the old index, or the new one, whole."""
        if commit_of(building) is not None:
            assert is_clean(building)
            names = docids(building)
            assert names == sorted(work.new[: len(names)])
            if not vectors:
                with Index(building) as opened:
                    metadata = IndexMetadata.from_user_data(opened.metadata, "")
                assert metadata is not None
                assert metadata.consumed == len(names)
        if commit_of(index) is None:
            assert "overwrite" not in state
            assert state != "old"
            assert not index.exists() or not os.listdir(index)
            return None
        assert is_clean(index)
        names = docids(index)
        assert names in (sorted(work.old), sorted(work.new)), f"{len(names)} documents"
        return "old" if names == sorted(work.old) else "new"

    def check_told(held: str | None, begun: bool) -> None:
        before = {name for name in work.names() if not name.endswith(".part")}
        plain = work.runner.run(*command)
        assert plain.status == 2, plain.said
        assert ("--overwrite" if held else "--resume") in plain.said
        assert work.names() == before
        assert check_sound() == held

    def recover(held: str | None) -> None:
        if building.exists():
            resumed = work.runner.run(*command, "--resume")
            if resumed.status == 0:
                return
            assert resumed.status == 2, resumed.said
            assert "there is no unfinished build" in resumed.said
            assert not building.exists()
        if held != "new":
            anew = work.runner.run(*command, *(["--overwrite"] if held else []))
            assert anew.status == 0, anew.said

    kill_all(work, state_of(work, state), (*command, *flags), kills, name, check)


def reference_of(work: Work, command: tuple[str, ...]) -> tuple[dict[str, str | None], np.ndarray]:
    """The documents of a build that nobody killed."""
    work.reset(work.reference.parent / "empty")
    assert work.runner.run(*command).status == 0
    return stored(work.folder / "ix")


def test_a_killed_search(work: Work) -> None:
    work.reset(work.reference.parent / "old")
    assert work.runner.run(*SEARCH).status == 0
    run = work.folder / "run.txt"
    new = run.read_text()
    run.write_text("the run of before\n")
    before = work.names()
    shutil.copytree(work.folder, work.reference.parent / "searched")

    def check(killed: Outcome) -> None:
        assert run.read_text() in ("the run of before\n", new)
        assert all(".part" in name for name in work.names() - before)
        assert work.runner.run(*SEARCH).status == 0
        assert run.read_text() == new
        assert work.names() == before

    kill_all(work, state_of(work, "searched"), SEARCH, 10, "search", check)


def test_a_killed_encoding_of_topics(work: Work) -> None:
    before = {path.name for path in (work.reference.parent / "old").iterdir()}
    q_nets = work.folder / "q"

    def check(killed: Outcome) -> None:
        whole = q_nets.exists()
        assert all(".part" in name for name in work.names() - before - {"q"})
        again = work.runner.run(*ENCODE)
        assert again.status == (2 if whole else 0), again.said
        saved = SavedQNets(q_nets)
        assert len(saved.load(saved.qids)) == 9
        assert json.loads((q_nets / "q_nets.json").read_text())["format"] == 1
        if not whole:
            assert work.names() == before | {"q"}

    kill_all(work, state_of(work, "old"), ENCODE, 8, "q-nets", check)
