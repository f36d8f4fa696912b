"""The demo from end to end, on small packages that the test writes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from hypserini.demo.__main__ import main
from hypserini.pydocs.collection import make_collection

THINGS = ("table", "graph", "query", "vector", "matrix", "index", "stream", "column")
ACTIONS = ("read", "sort", "merge", "count", "write", "search", "score", "delete", "copy")


def _source(package: str) -> str:
    functions = [f'"""What {package} has for tables, graphs and other things."""']
    for action in ACTIONS:
        for thing in THINGS:
            rest = f"The {thing} is given first, and {package} will {action} it at once. " * 4
            functions.append(
                f"def {action}_{thing}({thing}, mode):\n"
                f'    """{action.title()} one {thing} with the means of {package}.\n\n'
                f'    {rest}\n    """\n'
            )
    return "\n".join(functions)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("pandas", "scipy", "other"):
        (folder / f"{name}.py").write_text(_source(name))
    return folder


def test_the_demo_runs_from_beginning_to_end(
    packages: Path,
    tmp_path: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--packages", packages, "--model", tiny_model, "--index", "indexes/demo"]
    arguments += ["--documents", 200, "--question", "merge two tables", "--device", "cpu"]
    assert main([*map(str, arguments), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "? merge two tables" in printed
    assert "merge_table" in printed.split("BM25")[1]  # its best hit
    table = {
        line.split()[0]: [float(x) for x in line.split()[1:]]
        for line in printed.splitlines()
        if re.match(r"(q-net|BM25|both) +[01]\.\d{3} ", line)
    }
    assert set(table) == {"q-net", "BM25", "both"}
    # Known items by words that only the summary's own function has: BM25 finds nearly all.
    assert table["BM25"][0] > 0.5
    topics = (tmp_path / "collections/python-docs/topics.tsv").read_text().splitlines()
    assert len(topics) == 144
    for tag in ("q-net", "bm25", "both"):
        run = (tmp_path / f"runs/demo.{tag}.txt").read_text().splitlines()
        assert {line.split()[0] for line in run} == {line.split("\t")[0] for line in topics}


def test_the_collection_is_made_once_for_the_same_packages(packages: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    first = make_collection(folder, 150, roots=[packages], topics=20)
    assert first.documents == len(first.collection.read_text().splitlines()) == 150
    first.collection.write_text("kept")
    again = make_collection(folder, 150, roots=[packages], topics=20)
    assert again == first
    assert again.collection.read_text() == "kept"
    (packages / "new.py").write_text('"""A new module that has been installed meanwhile."""\n')
    assert make_collection(folder, 150, roots=[packages], topics=20).documents == 150
    docids = [json.loads(line)["id"] for line in first.collection.read_text().splitlines()]
    assert docids == sorted(docids, key=lambda docid: docid.split(".")[0])


def test_only_the_collection(
    packages: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["collection", "--packages", str(packages), "--folder", "here", "--quiet"]) == 0
    assert "219 documentation strings of 3 packages" in capsys.readouterr().out
    assert sorted(p.name for p in Path("here").iterdir()) == [
        ".made-of.json",
        "docs.jsonl",
        "qrels.txt",
        "topics.tsv",
    ]


def test_an_index_and_files_of_the_users_are_not_replaced(
    packages: Path,
    tmp_path: Path,
    tiny_model: Path,
    index: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(index, tmp_path / "mine")
    arguments = ["--packages", packages, "--model", tiny_model, "--documents", 200, "--quiet"]
    arguments += ["--device", "cpu"]
    assert main([*map(str, arguments), "--index", "mine"]) == 2
    assert "the index mine is not one of the demo" in capsys.readouterr().err
    assert sorted((tmp_path / "mine").iterdir()) != []
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "topics.tsv").write_text("1\tmine\n")
    assert main([*map(str, arguments), "--folder", "corpus"]) == 2
    assert "corpus/topics.tsv exists and was not made here" in capsys.readouterr().err
    assert (tmp_path / "corpus" / "topics.tsv").read_text() == "1\tmine\n"
