"""The run that is not named has a name of its own, and no other is lost to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypserini.errors import OutputError
from hypserini.formats.topics import Topics
from hypserini.search.command.default_run import default_run


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def named(topics: str, index: str = "indexes/ix", qid: str = "1") -> str:
    """The default run's name, of topics that are a file unless they are a name."""
    if not topics.startswith(("dl", "irds")):
        Path(topics).parent.mkdir(parents=True, exist_ok=True)
        Path(topics).touch()
    return str(default_run([Path(index)], Topics(topics, [(qid, "text")])))


def test_topics_are_called_by_their_own_name() -> None:
    assert named("topics.a.txt") == "runs/ix.a.txt"
    assert named("topics.b.txt") == "runs/ix.b.txt"
    assert named("topics.dl19-passage.txt") == "runs/ix.dl19-passage.txt"
    assert named("test.tsv.gz") == "runs/ix.test.txt"
    assert named("v1.2.queries.jsonl") == "runs/ix.v1.2.queries.txt"
    assert named("dl19-passage") == "runs/ix.dl19-passage.txt"
    assert named("irds:beir/nfcorpus/test") == "runs/ix.irds-beir-nfcorpus-test.txt"
    assert named("irds:beir/scifact/test") == "runs/ix.irds-beir-scifact-test.txt"


def test_topics_in_another_folder_are_called_by_that_too(tmp_path: Path) -> None:
    assert named("a/topics.tsv") == "runs/ix.a.topics.txt"
    assert named("b/topics.tsv") == "runs/ix.b.topics.txt"
    assert named("./topics.tsv") == "runs/ix.topics.txt"
    assert named(str(tmp_path / "here" / "topics.tsv")) == "runs/ix.topics.txt"
    assert named("../topics.tsv") == f"runs/ix.{tmp_path.name}.topics.txt"


def test_the_index_has_a_name_wherever_one_stands(tmp_path: Path) -> None:
    assert named("topics.tsv", ".") == "runs/here.topics.txt"
    assert named("topics.tsv", "..") == f"runs/{tmp_path.name}.topics.txt"
    assert named("topics.tsv", "ix/") == "runs/ix.topics.txt"


@pytest.mark.parametrize(
    "line",
    ["301 Q0 d1 1 0.5 tag\n", "301\td1\t1\n", '{"qid": "301", "hits": []}\n', "notes of mine\n"],
)
def test_a_run_of_other_topics_is_not_replaced(line: str) -> None:
    Path("runs").mkdir()
    Path("runs/ix.a.topics.txt").write_text(line)
    with pytest.raises(OutputError, match=r"runs/ix\.a\.topics\.txt has topics that are not in"):
        named("x/a/topics.tsv")
    if not line.startswith("notes"):
        assert named("y/a/topics.tsv", qid="301") == "runs/ix.a.topics.txt"


def test_an_empty_run_is_replaced() -> None:
    Path("runs").mkdir()
    Path("runs/ix.topics.txt").touch()
    assert named("topics.tsv") == "runs/ix.topics.txt"
