"""A folder in which commands are killed, for the crash suites, and what is left after it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from conftest import make_documents, write_jsonl
from crash_runner import POINTS, Outcome, Point, Runner

from hypserini import jvm
from hypserini.index.reader import Index

DOCUMENTS = 320
INDEX = ("hypserini.index", "--index", "ix", "--commit-every", "0", "--quiet")


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


@contextmanager
def working(base: Path) -> Iterator[Work]:
    """Work in a folder: `empty` holds the inputs, `old` also an index of 90 documents."""
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
    try:
        yield made
    finally:
        runner.close()


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
    state: Path,
    command: tuple[str, ...],
    kills: int,
    seed: str,
    check: Callable[[Outcome], None],
) -> None:
    """Kill a command at so many points, each time from the same state, and check what is left."""
    rng = random.Random(seed)
    work.reset(state)
    counting = work.runner.run(*command)
    assert counting.status == 0, counting.said
    wrong = []
    done = 0
    todo = points(counting.calls, kills, rng)
    while done < kills:
        point = todo.pop() if todo else Point("start", seconds=rng.uniform(0, 1.0))
        work.reset(state)
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


def files_of(index: Path) -> list[str]:
    """What belongs in the folder of an index."""
    commit = commit_of(index)
    assert commit is not None
    return sorted([*map(str, commit.files(True).toArray()), "write.lock"])  # type: ignore[attr-defined]
