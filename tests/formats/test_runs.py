from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

import pytest

from hypserini.errors import OutputError, RunError
from hypserini.formats.runs import read_run, write_run


@dataclass
class Hit:
    docid: str
    score: float


HITS = {"q1": [Hit("d2", 12.5), Hit("d10", -0.1234567)], "q2": [Hit("d1", -32.0)]}


def write_all(path, format: str, tag: str = "mine"):
    with write_run(path, format, tag) as writer:
        for qid, hits in HITS.items():
            writer.write(qid, hits, query=f"text of {qid}")
    return path


def test_trec_lines_are_pyserinis(tmp_path):
    path = write_all(tmp_path / "new" / "folder" / "run.txt", "trec")
    assert path.read_text() == (
        "q1 Q0 d2 1 12.500000 mine\nq1 Q0 d10 2 -0.123457 mine\nq2 Q0 d1 1 -32.000000 mine\n"
    )
    assert read_run(path) == {"q1": [("d2", 12.5), ("d10", -0.123457)], "q2": [("d1", -32.0)]}


def test_msmarco_lines_are_pyserinis(tmp_path):
    path = write_all(tmp_path / "run.tsv", "msmarco")
    assert path.read_text() == "q1\td2\t1\nq1\td10\t2\nq2\td1\t1\n"
    assert read_run(path) == {"q1": [("d2", 1.0), ("d10", 0.5)], "q2": [("d1", 1.0)]}


def test_json_lines_hold_the_query_and_the_hits(tmp_path):
    path = write_all(tmp_path / "run.jsonl", "json")
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["qid"] == "q1"
    assert first["query"] == "text of q1"
    assert second["hits"] == [{"docid": "d1", "rank": 1, "score": -32.0}]
    assert read_run(path) == {"q1": [("d2", 12.5), ("d10", -0.123457)], "q2": [("d1", -32.0)]}


def test_runs_may_be_gzipped(tmp_path):
    path = write_all(tmp_path / "run.txt.gz", "trec")
    assert gzip.decompress(path.read_bytes()).startswith(b"q1 Q0 d2 1 ")
    assert len(read_run(path)) == 2


def test_scores_go_before_ranks_and_the_file_before_nothing(tmp_path):
    path = tmp_path / "run.txt"
    path.write_text("1 Q0 a 1 1.0 t\n1 Q0 b 2 3.0 t\n1 Q0 c 3 3.0 t\n")
    assert read_run(path) == {"1": [("b", 3.0), ("c", 3.0), ("a", 1.0)]}


def test_an_interrupted_run_leaves_the_old_one(tmp_path):
    path = write_all(tmp_path / "run.txt", "trec")
    before = path.read_text()

    def interrupted():
        with write_run(path) as writer:
            writer.write("q1", [Hit("other", 1.0)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.txt"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Q0 a 1 2.0\n", r"line 1: expected `qid Q0 docid rank score tag`"),
        ("1 Q0 a 1 2.0 t\n\n1 Q0 b 2 two t\n", r"line 3: the score 'two' is not a number"),
        ("1 Q0 a 1 nan t\n", r"line 1: the score 'nan' is not a number"),
        ("1\ta\t0\n", r"line 1: the rank 0 is not 1 or more"),
        ("1 Q0 a 1 2.0 t\n1 Q0 a 2 1.0 t\n", r"line 2: document a occurs twice for topic 1"),
        ('{"qid": "1"}\n', r"line 1: expected JSON with qid and hits"),
        ("", r"is empty"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, text, message):
    path = tmp_path / "run.txt"
    path.write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        read_run(path)
    assert str(path) in str(caught.value)


def test_missing_runs_and_bad_outputs(tmp_path):
    with pytest.raises(RunError, match=r"the run .*absent\.txt does not exist"):
        read_run(tmp_path / "absent.txt")
    with pytest.raises(OutputError, match="is a folder"), write_run(tmp_path):
        pass
    for format, tag, message in [
        ("xml", "t", "unknown run format"),
        ("trec", "a b", "white space"),
    ]:
        with pytest.raises(RunError, match=message), write_run(tmp_path / "r", format, tag):
            pass
    assert list(tmp_path.iterdir()) == []
