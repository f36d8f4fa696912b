from __future__ import annotations

import gzip

import pytest

from hypserini.errors import RunError
from hypserini.evaluate import load_qrels


def test_reads_trec_and_beir(tmp_path):
    trec, beir = tmp_path / "qrels.txt", tmp_path / "test.tsv.gz"
    trec.write_text("1 0 a 1\n1\tQ0\tb -1\n\n2 0 a 3\n1 0 a 1\n")
    beir.write_bytes(gzip.compress(b"query-id\tcorpus-id\tscore\n1\ta\t1\n1\tb\t-1\n2\ta\t3\n"))
    expected = {"1": {"a": 1, "b": -1}, "2": {"a": 3}}
    assert load_qrels(trec).judgements == expected
    assert load_qrels(beir).judgements == expected
    assert load_qrels(trec).kind is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff1 0 a 1\n2 0 a 3\n",
        "qid\tQ0\tdocid\trel\n1\t0\ta\t1\n2\t0\ta\t3\n",
        "query_id iteration doc_id relevance\n1 0 a 1\n2 0 a 3\n",
        "docno\tgrade\tqid\na\t1\t1\na\t3\t2\n",
        "query-id\tcorpus-id\tscore\n1\ta\t1\nquery-id\tcorpus-id\tscore\n2\ta\t3\n",
        "1 0 a 1\r\n\r\n2 0 a +3\r\n",
    ],
)
def test_first_lines_name_the_columns(tmp_path, text):
    (tmp_path / "qrels").write_text(text)
    assert load_qrels(tmp_path / "qrels").judgements == {"1": {"a": 1}, "2": {"a": 3}}


@pytest.mark.parametrize("folder", ["topics-and-qrels", "qrels"])
@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("dl19", "qrels.dl19-passage.txt", "dl"),
        ("dl20", "qrels.dl20-passage.txt", "dl"),
        ("dev", "qrels.msmarco-passage.dev-subset.txt", "msmarco-dev"),
        ("msmarco-passage-dev-subset", "qrels.msmarco-passage.dev-subset.txt", "msmarco-dev"),
        ("beir-v1.0.0-nfcorpus-test", "qrels.beir-v1.0.0-nfcorpus.test.txt", None),
        ("robust04", "qrels.robust04.txt", None),
    ],
)
def test_names_are_found_in_the_caches_of_both_pyserinis(
    tmp_path, monkeypatch, folder, name, file, kind
):
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "topics.dl19-passage.txt").write_text("1\tno qrels\n")
    (tmp_path / folder / "qrels.dl19-doc.txt").write_text("1 0 other 1\n")
    (tmp_path / folder / file).write_text("1 0 a 2\n")
    qrels = load_qrels(name)
    assert qrels.judgements == {"1": {"a": 2}}
    assert qrels.kind == kind


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("qrels.dl19-passage.txt", "dl"),
        ("2020qrels-pass.txt", "dl"),
        ("qrels.dev.small.tsv", "msmarco-dev"),
        ("qrels.txt", None),
        ("qrels.dl190.txt", None),
        ("qrels.dl19-doc.txt", None),
        ("2019qrels-docs.txt", None),
    ],
)
def test_files_tell_their_kind_by_their_names(tmp_path, file, kind):
    (tmp_path / file).write_text("1 0 a 2\n")
    assert load_qrels(tmp_path / file).kind == kind
    # The name of a folder says nothing.
    (tmp_path / "dl20").mkdir()
    (tmp_path / "dl20" / "mine.txt").write_text("1 0 d 1\n")
    assert load_qrels(tmp_path / "dl20" / "mine.txt").kind is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 a 1\n1 0 b\tx\n", r"line 2: the grade 'x' is not a whole number"),
        ("1 a\n", r"line 1: expected `qid 0 docid grade`"),
        ("1 0 a 1\n1 0 a 2\n", r"line 2: document a has grade 2 for topic 1, and 1 in an earlier"),
        ("\n", r"is empty"),
        ("query-id\tcorpus-id\tscore\n", r"is empty"),
        ("1 0 d " + "9" * 5000, r"line 1: the grade '999.*' is not a whole number"),
        ("1 0 d 9999999999", r"line 1: the grade '9999999999' is not a whole number"),
        ("1 0 d 1.0", r"line 1: the grade '1.0' is not"),
        ("1 0 d 1_0", r"line 1: the grade '1_0' is not"),
        ("1 0 d \u0661", r"line 1: the grade '.' is not"),
        ("qid docid rel\n1 d\n", r"line 2: expected `qid 0 docid grade`"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, text, message):
    path = tmp_path / "qrels.txt"
    path.write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        load_qrels(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_missing_files_and_unknown_names(tmp_path):
    with pytest.raises(RunError, match=r"qrels file .*absent\.txt does not exist"):
        load_qrels(tmp_path / "absent.txt")
    with pytest.raises(RunError, match=r"unknown qrels dl18: .*nearest names are .*dl19"):
        load_qrels("dl18")
