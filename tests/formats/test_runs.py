from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Tevatron: scores, the best first; also whole numbers, also tied, also amid other topics.
        ("1\ta\t84.21\n1\tb\t9\n2\ta\t3\n", {"1": [("a", 84.21), ("b", 9)], "2": [("a", 3)]}),
        ("1 a 3\n2 b 7\n1 c 2\n2 d 7\n", {"1": [("a", 3), ("c", 2)], "2": [("b", 7), ("d", 7)]}),
        ("1 a -0.5\n1 b -1e3\n", {"1": [("a", -0.5), ("b", -1000)]}),
        ("1 a 84.21\n", {"1": [("a", 84.21)]}),
        ("1 a 1.0\n1 b 0.5\n", {"1": [("a", 1), ("b", 0.5)]}),
        # Ranks: whole numbers that rise from 1; some may be left out.
        (
            "1 a 1\n1 b 2\n1 c 4\n2 a 2\n",
            {"1": [("a", 1), ("b", 0.5), ("c", 0.25)], "2": [("a", 0.5)]},
        ),
        ("1 a 1\n2 a 1\n", {"1": [("a", 1)], "2": [("a", 1)]}),
        # A first line says what the columns are, in any order.
        ("qid\tdocid\trank\n1\ta\t1\n1\tb\t2\n", {"1": [("a", 1), ("b", 0.5)]}),
        ("query_id docno score\n1 a 1\n1 b 2\n", {"1": [("b", 2), ("a", 1)]}),
        (
            "qid\tquery\tdocno\trank\tscore\n1\tx\ta\t0\t9\n1\tx\tb\t1\t8\n",
            {"1": [("a", 9), ("b", 8)]},
        ),
        ("\ufeff1 Q0 a 1 2 t\r\n1 Q0 b 2 1 t\r\n", {"1": [("a", 2), ("b", 1)]}),
        ("1 Q0 a 1 2 t\n\ufeff1 Q0 b 2 1 t\n", {"1": [("a", 2), ("b", 1)]}),
    ],
)
def test_ranks_and_scores_are_told_apart_by_all_lines(tmp_path, text, expected):
    path = tmp_path / "run.txt"
    path.write_text(text)
    assert read_run(path) == expected


def test_a_run_of_scores_ranks_as_its_trec_run(tmp_path):
    path = write_all(tmp_path / "run.trec", "trec")
    lines = [line.split() for line in path.read_text().splitlines()]
    (tmp_path / "run.tsv").write_text("".join(f"{q}\t{d}\t{s}\n" for q, _, d, _, s, _ in lines))
    assert read_run(tmp_path / "run.tsv") == read_run(path)


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.dictionaries(
        st.text("abc019-é", min_size=1),
        st.dictionaries(
            st.text("dxyz019_#é", min_size=1),
            st.floats(-1e6, 1e6).map(lambda score: float(f"{score:.6f}") + 0.0),
            min_size=1,
        ),
        min_size=1,
    ),
    st.sampled_from(["trec", "json", "msmarco", "scores"]),
)
def test_what_is_written_is_read(tmp_path_factory, run, format):
    path = tmp_path_factory.getbasetemp() / "run"
    ranked = {q: sorted(hits.items(), key=lambda hit: -hit[1]) for q, hits in run.items()}
    if format == "scores":
        rows = (f"{q} {docid} {score:.6f}\n" for q, hits in ranked.items() for docid, score in hits)
        path.write_text("".join(rows))
    else:
        with write_run(path, format) as writer:
            for qid, hits in ranked.items():
                writer.write(qid, hits)
    found = read_run(path)
    docids = {qid: [docid for docid, _ in hits] for qid, hits in found.items()}
    assert docids == {qid: [docid for docid, _ in hits] for qid, hits in ranked.items()}
    if format != "msmarco":
        assert found == ranked


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
        ('{"qid": "1", "hits": [1]}', r"line 1: expected JSON with qid and hits"),
        ('{"qid": null, "hits": [{"docid": "a", "score": 1}]}', r"line 1: the id is not a string"),
        ('{"qid": "1", "hits": [{"docid": null, "score": 1}]}', r"line 1: the id is not a string"),
        ('{"qid": "1", "hits": [{"docid": "a b", "score": 1}]}', r"line 1: the id 'a b' contains"),
        ('{"qid": "1", "hits": [{"docid": "a", "score": NaN}]}', r"line 1: the score nan is not"),
        ('{"qid": "1", "hits": [{"docid": "a", "score": "2"}]}', r"line 1: the score '2' is not"),
        (f'{{"qid": "1", "hits": [{{"docid": "a", "score": {10**400}}}]}}', r"score 1000.* is not"),
        ('{"qid": ' + "[" * 3000, r"line 1: malformed JSON \(nested too deeply\)"),
        ("1 a 1\n1 b 2.5\n1 c 3\n", r"line 2: '2.5' is neither a rank .* nor a score"),
        ("1 a 0.1\n1 b 0.2\n", r"line 2: '0.2' is neither"),
        ("1 a 2\n1 b 3\n1 c 1\n", r"line 3: '1' is neither"),
        ("1 a 1\n1 b 2\n2 a 84.21\n", r"line 3: '84.21' is neither"),
        ("1 a 10\n1 b 20\n", r"line 2: '20' is neither"),
        ("1 a 0\n1 b 1\n", r"line 1: the rank 0 is not 1 or more"),
        ("1 a x\n", r"line 1: the rank or score 'x' is not a number"),
        ("1 a 1_0\n", r"line 1: the rank or score '1_0' is not a number"),
        ("1 a 1\n1 Q0 b 2 1.5 t\n", r"line 2: expected .*all lines alike"),
        ("qid docid rank\n1 a 0\n", r"line 2: the rank 0 is not 1 or more"),
        ("qid docid rank\n", r"is empty"),
        ("1 Q0 " + "a" * 9999 + " 1 x t\n", r"line 1: the score 'x' is not a number"),
        ("", r"is empty"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, text, message):
    path = tmp_path / "run.txt"
    path.write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        read_run(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


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
