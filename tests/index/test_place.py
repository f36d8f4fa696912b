"""Where an index grows and takes its place: one build at a time, and nothing of the user's lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import make_documents, write_jsonl

from hypserini.errors import IndexingError
from hypserini.formats.workplace import LOCK
from hypserini.index import lucene_files
from hypserini.index.__main__ import main
from hypserini.index.build import build_index
from hypserini.index.place import IndexPlace, _replacement
from hypserini.index.reader import Index
from hypserini.index.writer import IndexWriter
from hypserini.modeling import load_model
from hypserini.modeling.dual_encoder import DualEncoder


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> DualEncoder:
    return load_model(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("five") / "corpus.jsonl", make_documents(5))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("three") / "corpus.jsonl", make_documents(3))


@pytest.fixture
def begun(tmp_path: Path, model: DualEncoder) -> tuple[Path, Path]:
    """An index of five documents to be, at `ix`, and the collection of its unfinished build."""
    source = tmp_path / "begun.jsonl"
    write_jsonl(source, make_documents(200))
    lines = source.read_text()
    source.write_text(lines + "{\n")
    with pytest.raises(Exception, match="line 201"):
        build(source, tmp_path / "ix", model, commit_seconds=0)
    source.write_text(lines)
    return tmp_path / "ix", source


def build(source: Path, index: Path, model: DualEncoder, **how: object) -> None:
    from hypserini.index.options import IndexOptions

    options = IndexOptions(commit_seconds=float(str(how.pop("commit_seconds", 60))), batch_size=2)
    build_index(source, index, model, options, progress=False, **how)  # type: ignore[arg-type]


def count(index: Path) -> int:
    with Index(index) as opened:
        return opened.num_docs


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- two builds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [{}, {"overwrite": True}, {"resume": True}], ids=str)
@pytest.mark.parametrize("there", [True, False], ids=["replacing", "new"])
def test_a_second_build_is_refused_and_the_first_ends(
    tmp_path: Path, model: DualEncoder, five: Path, three: Path, flags: dict, there: bool
) -> None:
    index = tmp_path / "ix"
    if there:
        build(three, index, model)
    with IndexPlace(index, overwrite=there) as place:
        with IndexWriter(place.building, dimension=2) as writer:
            writer.add(["a"], [[1, 2]])
            writer.commit()
            with pytest.raises(IndexingError) as refused:
                build(five, index, model, **flags)
            said = "exists: give --overwrite" if there and not flags else "another process is"
            assert said in str(refused.value)
            writer.add(["b"], [[3, 4]])
            writer.commit()
        place.finish()
    assert count(index) == 2
    assert names(tmp_path) == ["ix"]


def test_of_builds_at_the_same_instant_one_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom hypserini.index.place import IndexPlace\n"
        "from hypserini.errors import IndexingError\n"
        "while time.time() < float(sys.argv[2]): pass\n"
        "try:\n  with IndexPlace(sys.argv[1], overwrite='o' in sys.argv[3]): sys.stdin.read()\n"
        "except IndexingError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "ix"), str(time.time() + 2)]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen([*command, flag], stdin=pipe, stderr=pipe, text=True) for flag in "-oo-"
    ]
    deadline = time.monotonic() + 60
    while sum(process.poll() is not None for process in started) < 3:
        assert time.monotonic() < deadline, "more than one goes on"
        time.sleep(0.05)
    said = [process.communicate()[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 1, 1, 1]
    assert sum("another process is building the index" in text for text in said) == 3
    assert names(tmp_path) == []


def test_an_index_that_another_program_writes_is_not_replaced(
    tmp_path: Path, model: DualEncoder, five: Path
) -> None:
    build(five, tmp_path / "ix", model)
    with IndexWriter(tmp_path / "ix", dimension=32, append=True):
        with pytest.raises(IndexingError, match="another process is writing to the index"):
            build(five, tmp_path / "ix", model, overwrite=True)
    assert names(tmp_path) == ["ix"]


# --- what is the user's ---------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [[], ["--overwrite"], ["--resume"]], ids=str)
@pytest.mark.parametrize("kind", ["folder", "index", "file", "link"])
def test_what_is_called_building_and_is_the_users_stays(
    tmp_path: Path,
    model: DualEncoder,
    five: Path,
    flags: list[str],
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = tmp_path / "ix.building"
    if kind == "folder":
        theirs.mkdir()
        (theirs / "source.c").write_text("int main;")
    elif kind == "index":
        build(five, theirs, model)
    elif kind == "file":
        theirs.write_text("int main;")
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "source.c").touch()
        theirs.symlink_to("elsewhere")
    before = sorted(tmp_path.rglob("*"))
    arguments = ["--collection", "/nonexistent", "--index", str(tmp_path / "ix"), "--quiet"]
    assert main([*arguments, *flags]) == 2
    assert f"{theirs}, where the index would grow, exists" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_of_the_users_survives_a_build_that_fails(tmp_path: Path) -> None:
    (tmp_path / "ix.building").mkdir()
    assert main(["--collection", "/nonexistent", "--index", str(tmp_path / "ix"), "--quiet"]) == 2
    assert names(tmp_path) == ["ix.building"]
    assert names(tmp_path / "ix.building") == []


def test_files_of_the_users_in_a_replaced_index_stay(
    tmp_path: Path, model: DualEncoder, five: Path, three: Path
) -> None:
    index = tmp_path / "ix"
    build(five, index, model)
    (index / "README.txt").write_text("how it was made")
    (index / "notes").mkdir()
    (index / "notes" / "more.txt").touch()
    (index / "hypserini-calibration.json").write_text("{}")  # ours, of the old documents
    (index / "hypserini-notes.txt").touch()
    build(three, index, model, overwrite=True)
    assert count(index) == 3
    assert (index / "README.txt").read_text() == "how it was made"
    theirs = ["README.txt", "hypserini-notes.txt", "notes"]
    assert lucene_files.strangers(index) == [index / name for name in theirs]
    assert (index / "notes" / "more.txt").exists()
    assert not (index / "hypserini-calibration.json").exists()
    assert names(tmp_path) == ["ix"]


@pytest.mark.parametrize("name", ["_notes.txt", "_0.fdt.bak", "segments_old.txt", "_quarto.yml"])
def test_a_file_that_lucene_would_take_for_its_own_is_told_before(
    tmp_path: Path, model: DualEncoder, five: Path, name: str
) -> None:
    index = tmp_path / "ix"
    build(five, index, model)
    (index / name).write_text("years of work")
    with pytest.raises(IndexingError, match=f"{name} is not Lucene's"):
        build(Path("/nonexistent"), index, model, overwrite=True)
    assert (index / name).read_text() == "years of work"
    assert names(tmp_path) == ["ix"]


def test_files_of_the_users_in_an_unfinished_build_are_told(
    begun: tuple[Path, Path], model: DualEncoder
) -> None:
    index, source = begun
    theirs = index.with_name("ix.building") / "notes.txt"
    theirs.touch()
    for flags in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(IndexingError, match=r"notes\.txt was not made by hypserini"):
            build(source, index, model, **flags)
    theirs.unlink()
    build(source, index, model, resume=True)
    assert count(index) == 200


def test_what_an_earlier_hypserini_left_does_not_stop_a_build(
    tmp_path: Path, model: DualEncoder, five: Path
) -> None:
    build(five, tmp_path / "ix", model)
    shutil.copytree(tmp_path / "ix", tmp_path / "ix.replaced")
    (tmp_path / "ix.replaced" / ".nfs000123").touch()
    for _ in range(2):
        build(five, tmp_path / "ix", model, overwrite=True)
    assert names(tmp_path) == ["ix", "ix.replaced"]
    assert (tmp_path / "ix.replaced" / ".nfs000123").exists()


# --- links and other paths ------------------------------------------------------------------------


def test_links_stay_and_what_they_lead_to_is_replaced(
    tmp_path: Path, model: DualEncoder, five: Path, three: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "ix").symlink_to("disk/real")
    (tmp_path / "indexes").symlink_to("disk")
    build(five, tmp_path / "ix", model)  # the link leads nowhere yet
    assert names(disk) == ["real"]
    for link in (tmp_path / "ix", tmp_path / "indexes" / "real"):
        for source, documents in ((three, 3), (five, 5)):
            inode = (disk / "real").stat().st_ino
            place = IndexPlace(link, overwrite=True)
            assert place.building == disk / "real.building"
            build(source, link, model, overwrite=True)
            assert count(link) == documents
            assert (disk / "real").stat().st_ino == inode
    assert (tmp_path / "ix").is_symlink()
    assert names(tmp_path) == ["disk", "indexes", "ix"]
    assert names(disk) == ["real"]


def test_the_working_folder_and_home_and_an_empty_name(
    tmp_path: Path,
    tiny_model: Path,
    five: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    base = ["--collection", str(five), "--model", str(tiny_model), "--quiet"]
    assert main([*base, "--index", "."]) == 0
    assert count(Path(".")) == 5  # the working folder is still the same one
    assert main([*base, "--index", "../elsewhere/../here", "--overwrite"]) == 0
    assert main([*base, "--index=~/home"]) == 0
    monkeypatch.setenv("HYPSERINI_INDEXES", "~/all")
    assert main(base) == 0
    assert names(tmp_path) == ["all", "elsewhere", "here", "home"]
    assert names(tmp_path / "all") == ["corpus.tiny"]
    assert count(tmp_path / "all" / "corpus.tiny") == 5
    capsys.readouterr()
    for name, said in (("", "is empty"), (" ", "is empty"), ("/", "no place for an index")):
        assert main([*base, "--index", name]) == 2
        assert said in capsys.readouterr().err


def test_the_default_index_of_the_environment_is_found_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hypserini import defaults

    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("HYPSERINI_INDEX", "~/ix")
    assert defaults.default_index(defaults.DEMO_COLLECTION) == Path("/home/someone/ix")
    monkeypatch.setenv("HYPSERINI_INDEX", "")
    monkeypatch.setenv("HYPSERINI_INDEXES", "~/all")
    place = defaults.default_index(defaults.DEMO_COLLECTION)
    assert place == Path("/home/someone/all/python-docs.hypserini-small")


def test_the_root_of_a_disk_is_refused_before_encoding(
    tmp_path: Path, model: DualEncoder, small_disk
) -> None:
    disk = small_disk("1m")
    with pytest.raises(IndexingError, match="is the root of a disk"):
        build(Path("/nonexistent"), disk, model)
    assert not disk.with_name("disk.building").exists()


# --- kills and resumption (all of them: test_crash.py) --------------------------------------------


def test_a_search_that_opens_while_an_index_is_replaced_finds_one(
    tmp_path: Path, model: DualEncoder, five: Path, three: Path
) -> None:
    index = tmp_path / "ix"
    build(five, index, model)
    found: list[int] = []
    failed: list[Exception] = []
    ended = threading.Event()

    def search() -> None:
        while not ended.is_set():
            try:
                found.append(count(index))
            except Exception as error:
                failed.append(error)

    searching = [threading.Thread(target=search) for _ in range(2)]
    for thread in searching:
        thread.start()
    for source in (three, five) * 4:
        build(source, index, model, overwrite=True)
    ended.set()
    for thread in searching:
        thread.join()
    assert failed == []
    assert set(found) == {3, 5}


def test_what_a_kill_at_the_end_left_is_removed_by_the_next_build(
    tmp_path: Path, model: DualEncoder, five: Path, three: Path
) -> None:
    index = tmp_path / "ix"
    build(five, index, model)
    place = IndexPlace(index, overwrite=True)
    place.__enter__()
    with IndexWriter(place.building, dimension=2) as writer:
        writer.add(["a", "b"], [[1, 2], [3, 4]])
        writer.commit({"x": "y"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lucene_files, "remove", lambda folder: None)  # killed before that
        place.finish()
    place._workplace.release()
    assert names(tmp_path) == ["ix", "ix.building"]
    assert count(index) == 2
    (place.building / LOCK).touch()
    with pytest.raises(IndexingError, match="there is no unfinished build beside the index"):
        build(five, index, model, resume=True)
    assert names(tmp_path) == ["ix"]
    assert count(index) == 2
    assert {path.name.partition("_")[0] for path in index.iterdir()} <= {
        "",
        "segments",
        "write.lock",
    }


def test_a_resumed_overwrite_that_had_committed_nothing_starts_again_or_says_what_to_do(
    tmp_path: Path, model: DualEncoder, five: Path, three: Path
) -> None:
    index = tmp_path / "ix"
    build(five, index, model)
    with pytest.raises(IndexingError, match=r"no unfinished build beside .* give --overwrite"):
        build(three, index, model, resume=True)
    place = IndexPlace(index, overwrite=True)
    place.__enter__()
    place._workplace.release()  # as if killed
    build(three, index, model, resume=True)
    assert count(index) == 3
    assert names(tmp_path) == ["ix"]


def test_a_resumed_build_does_not_replace_what_has_come_since(
    begun: tuple[Path, Path], model: DualEncoder, five: Path, tmp_path: Path
) -> None:
    index, source = begun
    build(five, tmp_path / "other", model)
    (tmp_path / "other").rename(index)
    with pytest.raises(IndexingError, match="was not there when the build in"):
        build(source, index, model, resume=True)
    assert count(index) == 5
    index.rename(tmp_path / "other")
    build(source, index, model, resume=True)
    assert count(index) == 200


def test_a_place_that_was_taken_meanwhile_is_left_alone(
    tmp_path: Path, model: DualEncoder, five: Path
) -> None:
    index = tmp_path / "ix"
    with IndexPlace(index) as place:
        with IndexWriter(place.building, dimension=2) as writer:
            writer.add(["a"], [[1, 2]])
            writer.commit()
        index.mkdir()
        (index / "theirs.txt").touch()
        with pytest.raises(IndexingError, match="exists and is not a Lucene index"):
            place.finish()
        assert names(index) == ["theirs.txt"]
        shutil.rmtree(index)
        build(five, tmp_path / "other", model)
        (tmp_path / "other").rename(index)
        with pytest.raises(IndexingError, match="was not there when the build in"):
            place.finish()
    assert count(index) == 5
    assert count(tmp_path / "ix.building") == 1


def test_a_damaged_index_is_replaced(tmp_path: Path, model: DualEncoder, five: Path) -> None:
    index = tmp_path / "ix"
    build(five, index, model)
    [commit] = index.glob("segments_*")
    commit.write_bytes(commit.read_bytes()[:40])
    (index / "notes.txt").touch()
    build(five, index, model, overwrite=True)
    assert count(index) == 5
    assert (index / "notes.txt").exists()


def test_a_disk_that_is_full_is_told_and_the_build_resumed(
    small_disk, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = small_disk("1300k")
    source = write_jsonl(tmp_path / "corpus.jsonl", make_documents(6000))
    base = ["--collection", str(source), "--index", str(disk / "ix"), "--model", str(tiny_model)]
    base += ["--commit-every", "0", "--batch-size", "32", "--quiet"]
    assert main(base) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device" in error
    assert "--resume" in error
    assert count(disk / "ix.building") > 0
    small_disk("40m")
    assert main([*base, "--resume"]) == 0
    assert count(disk / "ix") == 6000
    assert names(disk) == ["ix"]


def test_an_index_is_put_into_its_place_where_files_cannot_be_linked(
    small_disk, tmp_path: Path, model: DualEncoder, five: Path, three: Path
) -> None:
    built, index = small_disk("10m") / "built", tmp_path / "ix"
    build(three, built, model)
    build(five, index, model)
    _replacement("put", built, index)  # from another disk
    assert count(index) == count(built) == 3


@pytest.mark.parametrize("place", ["file/ix", "loop/ix", "x" * 250, "a\udcff"], ids=str)
def test_a_place_that_cannot_be_is_told(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert main(["--collection", "/nonexistent", "--index", str(tmp_path / place), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "cannot make an index at" in error or "not valid Unicode" in error
    assert names(tmp_path) == ["file", "loop"]
