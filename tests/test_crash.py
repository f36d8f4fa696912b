"""Two hundred kills: at every point where a command renames, syncs or commits, and at random times.

After each, what is there is sound, nothing of before is lost, what the next command says is true,
and to go on ends with the very same documents and leaves nothing over. `make test-crash` runs it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from conftest import make_documents, write_jsonl
from crash_runner import POINTS, Outcome, Point, Runner

from hypserini import jvm
from hypserini.encode.saved import SavedQNets
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index

pytestmark = pytest.mark.slow

DOCUMENTS = 320
INDEX = ("hypserini.index", "--index", "ix", "--commit-every", "0", "--quiet")
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


# --- what is there --------------------------------------------------------------------------------


def commit_of(folder: Path) -> object | None:
    """Lucene's last commit in a folder, or None."""
    if not list(folder.glob("segments_*")):
        return None
    directory = jvm.java_class("org.apache.lucene.store.FSDirectory")
    path = jvm.java_class("java.nio.file.Path").of(str(folder))
    opened = directory.open(path)
    try:
        return jvm.java_class("org.apache.lucene.index.SegmentInfos").readLatestCommit(opened)
    finally:
        opened.close()


def is_clean(folder: Path) -> bool:
    """Whether Lucene's own check finds nothing to complain of."""
    directory = jvm.java_class("org.apache.lucene.store.FSDirectory")
    path = jvm.java_class("java.nio.file.Path").of(str(folder))
    opened = directory.open(path)
    check = jvm.java_class("org.apache.lucene.index.CheckIndex")(opened)
    try:
        return bool(check.checkIndex().clean)
    finally:
        check.close()
        opened.close()


def docids(folder: Path) -> list[str]:
    """All docids, sorted: several threads add documents in any order."""
    with Index(folder) as index:
        return sorted(index.docids())


def stored(folder: Path) -> tuple[dict[str, str | None], np.ndarray]:
    """The stored text of all documents, and their vectors in the order of the docids."""
    with Index(folder) as index:
        names = sorted(index.docids())
        return {name: index.raw(name) for name in names}, index.vectors(names)


# --- scenarios ------------------------------------------------------------------------------------


@dataclass
class Work:
    """A folder in which commands are killed, what it is set back to, and what should come out."""

    folder: Path
    runner: Runner
    reference: Path
    old: list[str]
    new: list[str]
    kills: list[tuple[Point, Outcome]] = field(default_factory=list)

    def reset(self, state: Path) -> None:
        """Make the folder what `state` is."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(state, self.folder, dirs_exist_ok=True)

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    base = tmp_path_factory.mktemp("crash")
    folder, inputs, notes = base / "work", base / "inputs", base / "notes"
    for path in (folder, inputs, notes, inputs / "vectors"):
        path.mkdir()
    old = [{**d, "id": f"old{i}"} for i, d in enumerate(make_documents(90, seed=1))]
    new = make_documents(DOCUMENTS)
    write_jsonl(inputs / "old.jsonl", old)
    write_jsonl(inputs / "new.jsonl", new)
    rows = np.random.default_rng(0).normal(size=(DOCUMENTS, 16)).round(3)
    thirds = zip("abc", np.array_split(np.arange(DOCUMENTS), 3), strict=True)
    for name, numbers in thirds:
        lines = [{**new[i], "vector": rows[i].tolist()} for i in numbers]
        write_jsonl(inputs / "vectors" / f"{name}.jsonl", lines)
    (inputs / "t.tsv").write_text(
        "".join(f"{i}\tindex {d['contents']}\n" for i, d in enumerate(new[:9]))
    )
    runner = Runner(folder, notes)
    made = Work(folder, runner, base / "reference", [d["id"] for d in old], [d["id"] for d in new])
    made.reset(inputs)
    states = base / "states"
    shutil.copytree(inputs, states / "empty")
    (states / "empty").rename(base / "empty")
    whole = runner.run(*INDEX, "--collection", "old.jsonl")
    assert whole.status == 0, whole.said
    shutil.copytree(folder, base / "old")
    yield made
    runner.close()


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


def points(calls: dict[str, int], count: int, rng: random.Random) -> list[Point]:
    """So many points of a command: the named ones first, at their first and last calls and between,
    then steps of Java's interrupted after random times."""
    named = []
    for name in POINTS:
        last = calls.get(name, 0)
        numbers = {1, 2, 3, last - 1, last, *(rng.randint(1, max(last, 1)) for _ in range(2))}
        for number in sorted(n for n in numbers if 1 <= n <= last):
            named += [Point(name, number, after) for after in (False, True)]
    for name in ("commit", "put", "close"):
        for number in range(1, calls.get(name, 0) + 1):
            named += [Point(name, number), Point(name, number, after=True)]
    rng.shuffle(named)
    chosen = named[: (2 * count) // 3]
    steps = [name for name in ("add", "commit", "close", "put") if calls.get(name)]
    while len(chosen) < count:
        name = rng.choice([*steps, "start", "commit" if "commit" in steps else "start"])
        longest = {"start": 1.5, "put": 0.08}.get(name, 0.04)
        number = rng.randint(1, calls[name])
        chosen.append(Point(name, number, seconds=rng.uniform(0, longest)))
    return chosen


def kill_all(
    work: Work,
    state: str,
    command: tuple[str, ...],
    kills: int,
    seed: str,
    check: Callable[[Outcome], None],
) -> None:
    """Kill a command at so many points, each time from the same state, and check what is left."""
    rng = random.Random(seed)
    work.reset(state_of(work, state))
    counting = work.runner.run(*command)
    assert counting.status == 0, counting.said
    wrong = []
    done = 0
    todo = points(counting.calls, kills, rng)
    while done < kills:
        point = todo.pop() if todo else Point("start", seconds=rng.uniform(0, 1.0))
        work.reset(state_of(work, state))
        killed = work.runner.run(*command, at=point)
        if killed.status != -9:  # a random time after its end
            continue
        done += 1
        work.kills.append((point, killed))
        try:
            check(killed)
        except AssertionError as error:
            wrong.append(f"{point}: {error}; there are {sorted(work.names())}")
    print(f"{seed}: {done} kills, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


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

    kill_all(work, state, (*command, *flags), kills, name, check)


def reference_of(work: Work, command: tuple[str, ...]) -> tuple[dict[str, str | None], np.ndarray]:
    """The documents of a build that nobody killed."""
    work.reset(work.reference.parent / "empty")
    assert work.runner.run(*command).status == 0
    return stored(work.folder / "ix")


def files_of(index: Path) -> list[str]:
    """What belongs in the folder of an index."""
    commit = commit_of(index)
    assert commit is not None
    return sorted([*map(str, commit.files(True).toArray()), "write.lock"])  # type: ignore[attr-defined]


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

    kill_all(work, "searched", SEARCH, 10, "search", check)


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

    kill_all(work, "old", ENCODE, 8, "q-nets", check)
