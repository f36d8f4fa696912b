"""Shards of an index are searched as the one index they would be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import make_documents, write_jsonl
from rankings import assert_same_ranking

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
from hypserini.formats.runs import read_run
from hypserini.index import sharded
from hypserini.index.__main__ import main as build
from hypserini.index.lucene_files import SHARDS
from hypserini.index.place import IndexPlace
from hypserini.index.reader import Index
from hypserini.index.shards import Shards, read_shards
from hypserini.index.writer import IndexWriter
from hypserini.search.__main__ import main as search

DOCS = 400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, collection: Path, tiny_model: Path) -> Path:
    """A folder with the index `one`, and the same in shards, `shards-2` and `shards-5`."""
    folder = tmp_path_factory.mktemp("shards")
    base = ["--collection", str(collection), "--model", str(tiny_model), "--quiet"]
    assert build([*base, "--index", str(folder / "one")]) == 0
    for count in (2, 5):
        index = str(folder / f"shards-{count}")
        assert build([*base, "--index", index, "--shards", str(count)]) == 0
    return folder


@pytest.fixture
def run(topics_file: Path, tmp_path: Path) -> Callable[..., dict]:
    """Searches an index by command; the run that it writes."""

    def search_index(*index: Path, flags: str = "") -> dict:
        output = tmp_path / "run.txt"
        given = ["--index", *map(str, index), "--topics", str(topics_file), "--output", str(output)]
        assert search([*given, "--device", "cpu", "--quiet", *flags.split()]) == 0
        return read_run(output)

    return search_index


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that are begun, of which the second fails at first."""
    real, names = sharded.build_index, []

    def failing(source, folder, *args, **kwargs):
        names.append(folder.name)
        if len(names) == 2:
            raise IndexingError("no room")
        return real(source, folder, *args, **kwargs)

    monkeypatch.setattr(sharded, "build_index", failing)
    return names


@pytest.mark.parametrize(
    "flags",
    [
        "--mode exhaustive",
        "--mode exhaustive --filter contents:graph",
        "--first-stage bm25",
        "--hybrid interpolate --rm3",
        "--mode exhaustive --resident",
    ],
)
def test_a_folder_of_shards_is_searched_as_one_index(made, run, flags: str) -> None:
    found, wanted = run(made / "shards-5", flags=flags), run(made / "one", flags=flags)
    assert found.keys() == wanted.keys()
    for qid, hits in wanted.items():
        assert_same_ranking(found[qid], hits)


def test_several_indexes_are_searched_as_one(made, run) -> None:
    folders = sorted((made / "shards-2").glob("shard-*"))
    assert run(*folders, flags="--hybrid rrf") == run(made / "shards-2", flags="--hybrid rrf")


@pytest.mark.parametrize("mode", ["tangent", "graph"])
def test_approximate_searches_find_the_best_of_all_shards(made, run, mode: str) -> None:
    exact = run(made / "one", flags="--mode exhaustive --hits 10")
    same = {}
    for name in ("one", "shards-5"):  # of random q-nets, neither finds all
        found = run(made / name, flags=f"--mode {mode} --hits 10 --max-scored 300")
        pairs = [(set(dict(found[qid])), set(dict(exact[qid]))) for qid in exact]
        same[name] = sum(len(one & other) for one, other in pairs) / (10 * len(pairs))
    assert same["shards-5"] >= same["one"] - 0.1
    assert same["shards-5"] > 0.6


def test_the_shards_share_out_the_documents(made) -> None:
    shards = read_shards(made / "shards-5")
    assert sum(shards.documents) == DOCS
    assert min(shards.documents) > DOCS / 5 / 2
    with Index(made / "shards-5") as index, Index(made / "one") as one:
        docids = list(one.docids())
        assert sorted(index.docids()) == sorted(docids)
        assert index.raw("doc0007") == one.raw("doc0007")
        assert np.allclose(index.vectors(docids), one.vectors(docids), atol=1e-5)
        assert index.metadata["hypserini.consumed"] == str(DOCS)
        assert index.num_segments >= 5


def test_an_interrupted_build_of_shards_goes_on(
    tmp_path, collection, tiny_model, other_model, begun, capsys
) -> None:
    collection = Path(shutil.copy(collection, tmp_path))
    base = ["--collection", str(collection), "--model", str(tiny_model), "--quiet"]
    flags = [*base, "--index", str(tmp_path / "index"), "--shards", "3"]
    assert build(flags) == 2
    for given, said in (
        (flags, "give --resume"),
        ([*flags[:-1], "4", "--resume"], "begun with --shards 3"),
        ([*flags, "--max-length", "9", "--resume"], "begun with --max-length unset and not 9"),
        ([*flags, "--model", str(other_model), "--resume"], "which has other weights than"),
    ):
        assert build(given) == 2
        assert said in capsys.readouterr().err
    text = collection.read_text()
    more = next(f"more{n}" for n in range(99) if sharded.shard_of(f"more{n}", 3) == 0)
    collection.write_text(text + f'{{"id": "{more}", "contents": "of a complete shard"}}\n')
    assert build([*flags, "--resume"]) == 2
    assert f"document {more} is new" in capsys.readouterr().err
    collection.write_text(text)
    assert search(["--index", str(tmp_path / "index"), "--query", "graph"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert build([*flags, "--resume"]) == 0
    assert begun == ["shard-000", "shard-001", "shard-001", "shard-002"]
    with Index(tmp_path / "index") as index:
        assert len(set(index.docids())) == index.num_docs == DOCS
    assert build([*flags, "--resume"]) == 2
    assert "give --overwrite to build it anew" in capsys.readouterr().err


def test_shards_are_replaced_when_their_successors_are_complete(
    tmp_path, collection, tiny_model, monkeypatch, capsys
) -> None:
    index = tmp_path / "index"
    more = write_jsonl(tmp_path / "more.jsonl", make_documents(60, seed=3))
    how = ["--model", str(tiny_model), "--index", str(index), "--quiet"]
    old = [*how, "--collection", str(collection), "--shards", "2"]
    new = [*how, "--collection", str(more), "--shards", "3"]
    assert build(old) == 0
    (index / "notes.txt").write_text("of the user's")
    (index / "shard-001" / "mine.txt").write_text("too")
    assert build(new) == 2
    assert "give --overwrite to replace it" in capsys.readouterr().err

    real = sharded.build_index
    assert build([*new, "--overwrite", "--model", str(tmp_path / "nowhere")]) == 2
    assert not (index / "hypserini.lock").exists()  # nothing was begun
    begun: list[str] = []

    def failing(source, folder, *args, **kwargs):
        begun.append(folder.name)
        with Index(index) as opened:
            assert opened.num_docs == DOCS  # until all are there
        if len(begun) == 2:
            raise IndexingError("no room")
        return real(source, folder, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(sharded, "build_index", failing)
        assert build([*new, "--overwrite"]) == 2
        assert build(new) == 2
        assert "--resume to go on with it, --overwrite to start again" in capsys.readouterr().err
        assert build([*new, "--resume"]) == 0
    assert begun == ["shard-000b", "shard-001b", "shard-001b", "shard-002b"]
    left = {"hypserini-shards.json", "notes.txt", "shard-001", *set(begun)}
    assert {path.name for path in index.iterdir()} == left
    assert [path.name for path in (index / "shard-001").iterdir()] == ["mine.txt"]
    with Index(index) as opened:
        assert opened.num_docs == 60
    assert build([*old, "--overwrite"]) == 2
    assert "shard-001 exists and is not a Lucene index" in capsys.readouterr().err
    (index / "shard-001" / "mine.txt").unlink()
    assert build([*old, "--overwrite"]) == 0
    assert read_shards(index).shards == ["shard-000", "shard-001"]
    assert build([*how, "--collection", str(more), "--overwrite"]) == 2  # one index over shards


def test_what_cannot_be_searched_as_one_is_said(made, tmp_path, other_model, collection) -> None:
    other = tmp_path / "other"
    base = ["--collection", str(collection), "--model", str(other_model), "--quiet"]
    assert build([*base, "--index", str(other)]) == 0
    with (
        Index([made / "one", other]) as index,
        pytest.raises(IndexingError, match=r"other was encoded with fingerprint"),
    ):
        _ = index.metadata
    with IndexWriter(tmp_path / "wide", dimension=7) as writer:
        writer.add(["a"], np.ones((1, 7), np.float32))
    with pytest.raises(IndexingError, match=r"cannot be searched as one.*32 dimensions, not 7"):
        Index([made / "one", tmp_path / "wide"])
    with pytest.raises(IndexingError, match="one is given twice"):
        Index([made / "one", made / "one"])
    with pytest.raises(IndexingError, match="no index is given"):
        Index([])
    copy = shutil.copytree(made / "shards-2", tmp_path / "copy")
    shutil.rmtree(copy / "shard-001")
    with pytest.raises(IndexingError, match=r"the shard shard-001 of the index .*copy is missing"):
        Index(copy)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"shards": ["shard-000"]},
        {"shards": ["../one"], "documents": [1]},
        {"shards": ["a", "b"], "documents": [1]},
        {"shards": ["a"], "documents": ["1"]},
        {"shards": [], "documents": []},
        {"shards": ["a"], "documents": [1], "format": 99},
    ],
)
def test_a_damaged_manifest_is_told(tmp_path, wrong) -> None:
    value = wrong
    if isinstance(wrong, dict) and "documents" in wrong:
        value = {"model": "m", "fingerprint": "f", "format": 1} | wrong
    (tmp_path / SHARDS).write_text(json.dumps(value))
    with pytest.raises(IndexingError, match=SHARDS):
        read_shards(tmp_path)


def test_a_manifest_is_read_as_it_was_written(tmp_path) -> None:
    shards = Shards(["a", "b"], [1, 2], "m", "f")
    shards.write(tmp_path)
    assert read_shards(tmp_path) == shards


def test_shards_find_the_model_that_moved_with_them(tmp_path, collection, tiny_model) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    model = shutil.copytree(tiny_model, before / "model")
    base = ["--collection", str(collection), "--model", str(model), "--quiet"]
    assert build([*base, "--index", str(before / "index"), "--shards", "2"]) == 0
    shutil.move(before, after)
    with LuceneHypencoderSearcher(after / "index", device="cpu") as searcher:
        assert Path(searcher.encoder.model.name).resolve() == after / "model"


def test_shards_are_merged_into_one_index(made, tmp_path, run, capsys) -> None:
    source = shutil.copytree(made / "shards-5", tmp_path / "source")
    gone = [f"doc{number:04}" for number in range(0, DOCS, 8)]
    (tmp_path / "gone.txt").write_text("\n".join(gone))
    assert build(["--index", str(source), "--delete", str(tmp_path / "gone.txt")]) == 0
    merged = tmp_path / "merged"
    assert build(["--merge", str(source), "--index", str(merged), "--quiet"]) == 0
    with Index(merged) as index:
        assert index.num_docs == DOCS - len(gone) == int(index.java.maxDoc())
        assert not any(index.holds(gone))
    for flags in ("--mode exhaustive", "--first-stage bm25"):
        assert run(merged, flags=flags).keys() == run(source, flags=flags).keys()
    found, wanted = (run(one, flags="--mode exhaustive") for one in (merged, source))
    for qid, hits in wanted.items():
        assert_same_ranking(found[qid], hits)
    with LuceneHypencoderSearcher(merged, device="cpu") as searcher:  # it knows its model
        assert searcher.search("graph", 3)
    assert build(["--merge", str(made / "one"), str(source), "--index", str(tmp_path / "x")]) == 2
    assert "is in more than one of" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_documents_are_deleted_and_others_added_by_one_commit(
    made, tmp_path, tiny_model, topics, capsys
) -> None:
    for name, devices in (("one", "cpu"), ("shards-2", "cpu,cpu")):
        index = shutil.copytree(made / name, tmp_path / name)
        changed = make_documents(30, seed=5)  # doc0000 to doc0029, with other texts
        new = [{"id": f"new{i}", "contents": one["contents"]} for i, one in enumerate(changed)]
        more = write_jsonl(tmp_path / "more.jsonl", [*changed, *new])
        flags = ["--index", str(index), "--add", str(more), "--delete", "id:doc039*", "--quiet"]
        assert build([*flags, "--device", devices]) == 0
        assert "60 documents added, 40 deleted or replaced" in capsys.readouterr().out
        with Index(index) as opened:
            docids = list(opened.docids())
            assert len(docids) == len(set(docids)) == DOCS + 30 - 10
            assert json.loads(opened.raw("doc0003"))["contents"] == changed[3]["contents"]
            assert not any(opened.holds([f"doc039{digit}" for digit in range(10)]))
            both = opened.vectors(["doc0003", "new3"])
            assert np.allclose(both[0], both[1], atol=1e-5)
        expected = tmp_path / f"expected-{name}"
        texts = {one["id"]: one for one in [*make_documents(DOCS)[:390], *changed, *new]}
        source = write_jsonl(tmp_path / "expected.jsonl", list(texts.values()))
        base = ["--collection", str(source), "--model", str(tiny_model), "--quiet"]
        assert build([*base, "--index", str(expected)]) == 0
        with (
            LuceneHypencoderSearcher(index, device="cpu", mode="exhaustive") as found,
            LuceneHypencoderSearcher(expected, device="cpu", mode="exhaustive") as wanted,
        ):
            for query in topics.values():
                assert_same_ranking(found.search(query, 20), wanted.search(query, 20))
        assert not list(tmp_path.glob("*.added*"))


def test_what_cannot_be_changed_is_said(made, tmp_path, capsys) -> None:
    index = shutil.copytree(made / "one", tmp_path / "one")
    (tmp_path / "ids.txt").write_text("nowhere\n")
    for flags, said in (
        (["--delete", str(tmp_path / "ids.txt")], "none of the 1 docids"),
        (["--delete", "a AND"], "cannot delete what matches"),
        (["--delete", str(tmp_path / "no.txt")], "does not exist"),
        (["--add", str(tmp_path / "no.jsonl")], "no.jsonl"),
    ):
        assert build(["--index", str(index), *flags]) == 2
        assert said in capsys.readouterr().err
    with Index(index) as opened:
        assert opened.num_docs == DOCS
    with IndexWriter(index, dimension=32, append=True):
        assert build(["--index", str(index), "--delete", "id:doc0001"]) == 2
        assert "another process is writing" in capsys.readouterr().err
    assert build(["--delete", "id:doc0001"]) == 2
    assert "need --index" in capsys.readouterr().err


def test_an_interrupted_addition_is_gone_on_with(made, tmp_path, monkeypatch, capsys) -> None:
    from hypserini.index import changing

    index = shutil.copytree(made / "one", tmp_path / "one")
    more = write_jsonl(tmp_path / "more.jsonl", make_documents(50, seed=5))
    flags = ["--index", str(index), "--add", str(more), "--quiet"]

    def failing(*arguments: object) -> None:
        raise IndexingError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(changing, "_change", failing)
        assert build(flags) == 2
    with Index(index) as opened:
        assert opened.num_docs == DOCS
    monkeypatch.setattr(changing, "build_index", failing)  # nothing is encoded again
    other = write_jsonl(tmp_path / "other.jsonl", make_documents(9, seed=6))
    assert build(["--index", str(index), "--add", str(other), "--resume"]) == 2
    assert f"is of {more}, not {other}" in capsys.readouterr().err
    text = more.read_text()
    more.write_text(text + '{"id": "further", "contents": "graph"}\n')
    assert build([*flags, "--resume"]) == 2
    assert "document further is new" in capsys.readouterr().err
    more.write_text(text)
    assert build([*flags, "--resume"]) == 0
    with Index(index) as opened:
        assert opened.num_docs == DOCS
        assert (
            json.loads(opened.raw("doc0003"))["contents"]
            == make_documents(50, seed=5)[3]["contents"]
        )


@pytest.mark.parametrize("committed", [False, True])
def test_a_merge_that_was_killed_is_gone_on_with(made, tmp_path, committed) -> None:
    flags = ["--merge", str(made / "shards-2"), "--index", str(tmp_path / "one"), "--quiet"]
    place = IndexPlace(tmp_path / "one")
    place.__enter__()
    if committed:  # and not renamed
        (tmp_path / "two").mkdir()
        assert build([*flags[:3], str(tmp_path / "two" / "one"), "--quiet"]) == 0
        for file in (tmp_path / "two" / "one").iterdir():
            file.rename(place.building / file.name)
    place._workplace.release()  # as if killed
    assert build([*flags, "--resume"]) == 0
    with Index(tmp_path / "one") as one, Index(made / "shards-2") as shards:
        assert sorted(one.docids()) == sorted(shards.docids())


def test_a_merge_does_not_begin_in_what_was_encoded(made, tmp_path, capsys) -> None:
    place = IndexPlace(tmp_path / "one")
    place.__enter__()
    for file in (made / "one").iterdir():
        shutil.copy(file, place.building)
    place._workplace.release()  # as a kill leaves it
    flags = ["--merge", str(made / "shards-2"), "--index", str(tmp_path / "one"), "--resume"]
    assert build(flags) == 2
    assert "was begun with --collection and not with --merge" in capsys.readouterr().err
    with Index(place.building) as index:
        assert index.num_docs == DOCS


def test_few_documents_in_many_shards_suit_one_similarity(tmp_path, tiny_model, capsys) -> None:
    few = write_jsonl(
        tmp_path / "few.jsonl", [{"id": f"doc{n}", "contents": "graph " * n} for n in range(5)]
    )
    index = tmp_path / "index"
    flags = ["--collection", str(few), "--model", str(tiny_model), "--shards", "6", "--quiet"]
    assert build([*flags, "--index", str(index)]) == 0
    with Index(index) as opened:
        assert opened.num_docs == 5
    for number in range(4):  # into empty ones, too
        one = write_jsonl(tmp_path / "one.jsonl", [{"id": f"new{number}", "contents": "a tree"}])
        assert build(["--index", str(index), "--add", str(one), "--quiet"]) == 0
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        assert len(searcher.search("graph", 20)) == 9


def test_the_index_that_one_stands_in(made, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(shutil.copytree(made / "one", tmp_path / "one"))
    more = write_jsonl(tmp_path / "more.jsonl", [{"id": "new", "contents": "graph"}])
    assert build(["--index", ".", "--add", str(more), "--delete", "id:doc0001", "--quiet"]) == 0
    with Index(".") as index:
        assert index.holds(["new", "doc0001"]) == [True, False]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["more.jsonl", "one"]


def test_a_merge_brings_back_what_was_deleted(made, tmp_path) -> None:
    flags = ["--merge", str(made / "one"), "--index", str(tmp_path / "copy"), "--quiet"]
    assert build(flags) == 0
    assert build(["--index", str(tmp_path / "copy"), "--delete", "id:doc0001"]) == 0
    assert build([*flags, "--overwrite"]) == 0
    with Index(tmp_path / "copy") as index:
        assert index.num_docs == DOCS
        assert index.holds(["doc0001"]) == [True]


def test_shards_are_changed_beside_an_unfinished_build_that_replaces_them(
    made, tmp_path, collection, tiny_model, begun
) -> None:
    index = shutil.copytree(made / "shards-2", tmp_path / "index")
    flags = ["--collection", str(collection), "--model", str(tiny_model), "--quiet"]
    flags += ["--index", str(index), "--shards", "2"]
    assert build([*flags, "--overwrite"]) == 2
    assert build(["--index", str(index), "--delete", "id:doc0001"]) == 0
    assert build([*flags, "--resume"]) == 0
    assert begun == ["shard-000b", "shard-001b", "shard-001b"]


def test_emptied_shards_take_one_similarity_again(tmp_path, tiny_model) -> None:
    documents = [{"id": f"doc{n}", "contents": "graph " * (n + 1)} for n in range(12)]
    few = write_jsonl(tmp_path / "few.jsonl", documents)
    flags = ["--index", str(tmp_path / "index"), "--quiet"]
    base = ["--collection", str(few), "--model", str(tiny_model), "--shards", "6"]
    assert build([*flags, *base]) == 0
    assert build([*flags, "--delete", "id:doc*"]) == 0
    assert build([*flags, "--add", str(few)]) == 0
    with Index(tmp_path / "index") as index:
        assert index.num_docs == 12
