"""Kills of what changes an index that is there, and of what builds and merges shards.

As in test_crash.py: a search after a kill finds all of before or all of after, and the same command
with `--resume` ends with the documents of a call that nobody killed, and leaves nothing over.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from crash_runner import Outcome
from crash_work import INDEX, Work, commit_of, docids, files_of, is_clean, kill_all, stored, working

from hypserini.check.checks import check_index
from hypserini.index.reader import Index
from hypserini.index.shards import folders_of, read_shards

pytestmark = pytest.mark.slow

SHARDED = (*INDEX, "--collection", "new.jsonl", "--batch-size", "8", "--shards", "2")
OF_OLD = (*INDEX, "--collection", "old.jsonl", "--shards", "2")
CHANGE = (*INDEX, "--batch-size", "8", "--add", "new.jsonl", "--delete", "gone.txt")
DELETE = ("hypserini.index", "--index", "ix", "--delete", "gone.txt", "--quiet")
MERGE = ("hypserini.index", "--merge", "sh", "--index", "ix", "--quiet")
GONE = [f"old{number}" for number in range(0, 90, 2)]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    with working(tmp_path_factory.mktemp("crash")) as made:
        base = made.reference.parent
        for state in ("empty", "old"):
            (base / state / "gone.txt").write_text("\n".join(GONE))
        made.reset(base / "empty")
        built = made.runner.run(*OF_OLD)
        assert built.status == 0, built.said
        shutil.copytree(made.folder, base / "sharded")
        (made.folder / "ix").rename(made.folder / "sh")
        shutil.copytree(made.folder, base / "to-merge")
        yield made


def everything(index: Path) -> dict[str, tuple[str | None, list[float]]]:
    """The texts and vectors of all documents."""
    with Index(index) as opened:
        names = sorted(opened.docids())
        return {
            name: (opened.raw(name), vector.tolist())
            for name, vector in zip(names, opened.vectors(names), strict=True)
        }


def assert_same(found: Path, expected: dict[str, tuple[str | None, list[float]]]) -> None:
    there = everything(found)
    assert there.keys() == expected.keys()
    for name, (text, vector) in expected.items():
        assert there[name][0] == text
        assert np.allclose(there[name][1], vector, atol=1e-5)


def after(work: Work, state: str, command: tuple[str, ...]) -> dict:
    """What a call that nobody kills makes of the index."""
    work.reset(work.reference.parent / state)
    done = work.runner.run(*command)
    assert done.status == 0, done.said
    return everything(work.folder / "ix")


def assert_whole(work: Work, state: str) -> None:
    """The index is sound by all checks, and no file is left over in or beside it."""
    index = work.folder / "ix"
    assert [one.fault for one in check_index(index) if one.fault] == []
    assert work.names() == {path.name for path in (work.reference.parent / state).iterdir()} | {
        "ix"
    }
    folders = folders_of(index)
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == set(files_of(folder))
    if len(folders) > 1:
        assert {path.name for path in index.iterdir()} == {
            "hypserini-shards.json",
            *(folder.name for folder in folders),
        }


@pytest.mark.parametrize(
    ("state", "command", "kills"),
    [("old", CHANGE, 20), ("sharded", CHANGE, 24), ("old", DELETE, 8), ("sharded", DELETE, 12)],
)
def test_a_killed_change(work: Work, state: str, command: tuple[str, ...], kills: int) -> None:
    """Of shards, each is changed by one commit: between two, a search finds some of both."""
    index = work.folder / "ix"
    expected = after(work, state, command)
    assert_whole(work, state)
    work.reset(work.reference.parent / state)
    before = everything(index)

    def check(killed: Outcome) -> None:
        for folder in folders_of(index):
            assert is_clean(folder)
            names = set(docids(folder))
            held = [
                {name for name in one if in_shard(index, folder, name)}
                for one in (before, expected)
            ]
            assert names in held, f"{len(names)} documents"
        adds = "--add" in command
        again = work.runner.run(*command, *(["--resume"] if adds else []))
        if again.status:
            assert not adds, again.said
            assert "there is nothing to delete" in again.said
            for folder in folders_of(
                index
            ):  # what Lucene began to commit goes with the next writer
                for begun in folder.glob("pending_segments_*"):
                    begun.unlink()
        assert_same(index, expected)
        assert_whole(work, state)

    name = f"{'change' if command is CHANGE else 'delete'} of {state}"
    kill_all(work, work.reference.parent / state, command, kills, name, check)


def in_shard(index: Path, folder: Path, docid: str) -> bool:
    from hypserini.index.sharded import shard_name, shard_of

    manifest = read_shards(index)
    if manifest is None:
        return True
    return folder.name == shard_name(shard_of(docid, len(manifest.shards)))


@pytest.mark.parametrize(
    ("state", "flags", "kills"), [("empty", (), 18), ("sharded", ("--overwrite",), 26)]
)
def test_a_killed_build_of_shards(
    work: Work, state: str, flags: tuple[str, ...], kills: int
) -> None:
    index = work.folder / "ix"
    expected = after(work, state, (*SHARDED, *flags))
    assert_whole(work, state)

    def check(killed: Outcome) -> None:
        manifest = read_shards(index) if index.is_dir() else None
        if manifest is not None:
            with Index(index) as opened:
                there = set(opened.docids())
            assert there in (set(work.old), set(expected)), f"{len(there)} documents"
        else:
            assert state == "empty"
        resumed = work.runner.run(*SHARDED, "--resume")
        if resumed.status:
            assert "there is no unfinished build" in resumed.said
            if manifest is None or set(docids(index)) != set(expected):
                anew = work.runner.run(*SHARDED, *flags)
                assert anew.status == 0, anew.said
        assert_same(index, expected)
        assert_whole(work, state)

    kill_all(
        work, work.reference.parent / state, (*SHARDED, *flags), kills, f"shards of {state}", check
    )


def test_a_killed_merge(work: Work) -> None:
    index = work.folder / "ix"
    expected = after(work, "to-merge", MERGE)
    assert expected.keys() == set(work.old)

    def check(killed: Outcome) -> None:
        assert set(docids(work.folder / "sh")) == set(work.old)
        if commit_of(index) is not None:
            assert is_clean(index)
            assert set(docids(index)) == set(work.old)
        building = (work.folder / "ix.building").exists()
        again = work.runner.run(*MERGE, *(["--resume"] if building else []))
        if again.status:
            assert re_said(again.said, commit_of(index) is not None), again.said
            if commit_of(index) is None:
                assert work.runner.run(*MERGE).status == 0
        assert_same(index, expected)
        assert_whole(work, "to-merge")
        assert stored(work.folder / "sh")[0] == stored(index)[0]

    kill_all(work, work.reference.parent / "to-merge", MERGE, 12, "merge", check)


def re_said(said: str, there: bool) -> bool:
    return ("exists" in said and there) or "there is no unfinished build" in said
