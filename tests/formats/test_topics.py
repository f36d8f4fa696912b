from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypserini.errors import TopicsError
from hypserini.formats.names import find_cached
from hypserini.formats.topic_formats import ID_KEYS
from hypserini.formats.topics import load_topics

TREC = """<top>
<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations: who, where.

<narr> Narrative:
A relevant document must <b>name</b> one.
</top>

<top>

<num> Number: 051 </num>
<title>
Airbus
Subsidies
</title>
<desc>D2</desc><narr>N2</narr>
</top>
"""
COVID = """<?xml version="1.0" encoding="UTF-8"?>
<topics task="COVIDSearch 2020">
<topic number="1"><query>coronavirus origin</query>
<question>what is the origin &amp; cause?</question>
</topic>
<topic number="2"><query>weather</query><question>q2</question></topic>
</topics>
"""
TWO = [("1", "first query"), ("2", "zweite Anfrage: für")]


def write(path, text: str):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def json_lines(id_key: str, text_key: str) -> str:
    return "".join(json.dumps({id_key: qid, text_key: text, "x": 1}) + "\n" for qid, text in TWO)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cacm.tsv", "1\tfirst query\n2\tzweite Anfrage: für\n"),
        ("beir.tsv.gz", "1\tfirst query\tanswer\n\n2\t zweite  Anfrage: für \r\n"),
        ("topics", "\ufeff1\tfirst query\n2\tzweite Anfrage: für"),
        ("web.txt", "1:first query\n2:zweite Anfrage: für\n"),
        ("a.jsonl", json_lines("qid", "title")),
        ("b.jsonl.gz", json_lines("_id", "text")),
        ("c.jsonl", json_lines("id", "text")),
        ("d.json", json_lines("query_id", "query")),
        ("e.txt", json_lines("id", "contents")),
        ("f.json", json.dumps([{"qid": int(qid), "question": text} for qid, text in TWO])),
        ("g.json", json.dumps({qid: {"title": text} for qid, text in TWO}, indent=1)),
        ("h.json", json.dumps(dict(TWO))),
        ("mac.tsv", "1\tfirst query\r2\tzweite Anfrage: für\r"),
        ("head.tsv", "qid\tquery\n1\tfirst query\n2\tzweite Anfrage: für\n"),
        ("head.tsv", "\ufeffTopic-ID\tTitle\n1\tfirst query\n2\tzweite Anfrage: für\n"),
        ("csv.tsv", 'id\ttext\n1\t"first query"\n2\t"zweite Anfrage: für"\n'),
        ("two.tsv", "1\tfirst query\n\ufeff2\tzweite Anfrage: für\n"),
    ],
)
def test_reads_files_by_their_content(tmp_path, name, text):
    topics = load_topics(write(tmp_path / name, text))
    assert topics.items == TWO
    assert (topics.qids, topics.texts) == (["1", "2"], ["first query", "zweite Anfrage: für"])
    assert topics.family is None


def test_reads_trec_topics(tmp_path):
    path = write(tmp_path / "topics.trec", TREC)
    assert load_topics(path).items == [
        ("301", "International Organized Crime"),
        ("051", "Airbus Subsidies"),
    ]
    assert load_topics(path, query_key="desc").texts[0] == "Identify organizations: who, where."
    described = load_topics(path, query_key="narrative").texts
    assert described == ["A relevant document must <b>name</b> one.", "N2"]


def test_reads_trec_covid(tmp_path):
    path = write(tmp_path / "covid.xml", COVID)
    assert load_topics(path).items == [("1", "coronavirus origin"), ("2", "weather")]
    assert load_topics(path, query_key="question").texts[0] == "what is the origin & cause?"


def trec(*numbers: str) -> str:
    return "".join(f"<top><num> {n} </num><title>t</title></top>\n" for n in numbers)


def test_comments_and_cdata_of_xml(tmp_path):
    text = "<topics>\n<!-- <topic number='9'>\n<query>old</query></topic> -->\n"
    text += "<topic number='1'><query><![CDATA[R&D <tax>]]></query></topic>\n<topic number='2'>"
    with pytest.raises(TopicsError, match="line 5: the topic is not closed"):
        load_topics(write(tmp_path / "t.xml", text))
    text += "<query>a &amp; b</query></topic></topics>"
    assert load_topics(write(tmp_path / "t.xml", text)).items == [
        ("1", "R&D <tax>"),
        ("2", "a & b"),
    ]


def test_ids_stay_as_they_are(tmp_path):
    ids = ["T12", "026", "AR26", "MB01", "1-a", "0", "12"]
    for name, text in (
        ("topics.trec", trec(*ids)),
        ("topics.xml", "".join(f"<topic number='{i}'><query>t</query></topic>" for i in ids)),
        ("topics.tsv", "".join(f"{i}\tt\n" for i in ids)),
        ("topics.jsonl", "".join(json.dumps({"qid": i, "title": "t"}) + "\n" for i in ids)),
    ):
        assert load_topics(write(tmp_path / name, text)).qids == ids


@pytest.mark.parametrize(
    ("file", "numbers", "expected"),
    [
        ("topics.adhoc.51-100.txt", ["Number:  051", "Number: 100"], ["51", "100"]),
        ("topics.trec02ar-ar.txt", ["Number: AR26"], ["26"]),
        ("topics.microblog2011.txt", ["Number: MB001", "Number: MB010"], ["1", "10"]),
        ("topics.robust04.txt", ["Number: 301"], ["301"]),
    ],
)
def test_collections_that_pyserini_numbers_have_its_ids(tmp_path, file, numbers, expected):
    assert load_topics(write(tmp_path / file, trec(*numbers))).qids == expected


def test_fields_of_trecs_other_tracks(tmp_path):
    text = "<top>\n<num> Number: MB111 </num>\n<query>water shortages</query>\n<querytime>x</top>"
    assert load_topics(write(tmp_path / "t", text)).items == [("MB111", "water shortages")]
    path = write(tmp_path / "topics.mq.20001-60000.txt", "20001:1:family tree: a\n")
    assert load_topics(path).items == [("20001", "family tree: a")]
    web = '<web><topic number="9" type="x">\n<query>q</query><subtopic>s</subtopic></topic></web>'
    assert load_topics(write(tmp_path / "web.xml", web)).items == [("9", "q")]


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ({"qid": "1", "title": "", "text": "b"}, "b"),
        ({"qid": "1", "title": None, "query": " \n", "contents": "b"}, "b"),
        ({"qid": "1", "title": ["a"], "text": "b"}, "b"),
        ({"qid": None, "_id": "1", "text": "b"}, "b"),
        ({"qid": "", "id": 1, "text": "b"}, "b"),
        ({"qid": "1", "text": "a\ud800\u0000"}, "a\ufffd\ufffd"),
    ],
)
def test_the_first_field_with_text_is_the_query(tmp_path, topic, expected):
    path = write(tmp_path / "t.jsonl", json.dumps(topic) + "\n")
    assert load_topics(path).items == [("1", expected)]


def test_a_first_line_names_the_columns(tmp_path):
    path = write(tmp_path / "t.tsv", "qid\ttitle\tdescription\n1\t\twhat it is\n2\ta\tb\n")
    assert load_topics(path, query_key="description").texts == ["what it is", "b"]
    with pytest.raises(TopicsError, match="line 2: topic 1 has no text"):
        load_topics(path)
    # Without such a line, further columns are no query.
    path = write(tmp_path / "u.tsv", "1\ta\tb\n")
    assert load_topics(path).texts == load_topics(path, query_key="description").texts == ["a"]


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1).filter(
            lambda qid: not qid.startswith(("{", "[", "<", "\ufeff"))
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"))
        .map(lambda text: " ".join(text.split()))
        .filter(bool),
        min_size=1,
    ),
    st.sampled_from(["tsv", "jsonl", "json", "object"]),
)
def test_what_is_written_is_read(tmp_path_factory, topics, kind):
    records = [{"qid": qid, "title": text} for qid, text in topics.items()]
    text = {
        "tsv": "".join(f"{qid}\t{text}\n" for qid, text in topics.items()),
        "jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "json": json.dumps(records, indent=1, ensure_ascii=False),
        "object": json.dumps({f"{qid}": text for qid, text in topics.items()}),
    }[kind]
    path = write(tmp_path_factory.getbasetemp() / "written", text)
    if kind == "object" and set(topics) & set(ID_KEYS):
        return
    assert dict(load_topics(path).items) == topics


def test_query_key_chooses_the_field(tmp_path):
    path = write(tmp_path / "t.jsonl", '{"qid": "1", "title": "short", "description": "long"}\n')
    assert load_topics(path, query_key="description").texts == ["long"]
    with pytest.raises(TopicsError, match=r"line 1: the topic has no narrative"):
        load_topics(path, query_key="narrative")


@pytest.mark.parametrize("folder", ["topics-and-qrels", "topics"])
@pytest.mark.parametrize(
    ("name", "file", "full_name", "family"),
    [
        ("dl19", "topics.dl19-passage.txt", "dl19-passage", "msmarco-v1-passage"),
        ("dl20", "topics.dl20.txt", "dl20-passage", "msmarco-v1-passage"),
        ("dl20-passage", "topics.dl20.txt", "dl20-passage", "msmarco-v1-passage"),
        (
            "dev",
            "topics.msmarco-passage.dev-subset.txt",
            "msmarco-passage-dev-subset",
            "msmarco-v1-passage",
        ),
        (
            "msmarco-v1-passage.dev",
            "topics.msmarco-passage.dev-subset.txt",
            "msmarco-v1-passage.dev",
            "msmarco-v1-passage",
        ),
        (
            "beir-v1.0.0-scifact-test",
            "topics.beir-v1.0.0-scifact.test.tsv.gz",
            "beir-v1.0.0-scifact-test",
            None,
        ),
        (
            "beir-v1.0.0-scifact",
            "topics.beir-v1.0.0-scifact.test.tsv.gz",
            "beir-v1.0.0-scifact",
            None,
        ),
        ("robust04", "topics.robust04.txt", "robust04", None),
        ("covid-round1", "topics.covid-round1.xml", "covid-round1", None),
    ],
)
def test_names_are_found_in_the_caches_of_both_pyserinis(
    tmp_path, monkeypatch, folder, name, file, full_name, family
):
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    (tmp_path / folder).mkdir()
    # Neighbours that must not be taken for it.
    for other in ("topics.dl19-doc.txt", "topics.robust04.extra.txt", "qrels.robust04.txt"):
        write(tmp_path / folder / other, "9\tanother\n")
    write(tmp_path / folder / file, "1\tfirst query\n2\tzweite Anfrage: für\n")
    topics = load_topics(name)
    assert topics.items == TWO
    assert (topics.name, topics.family) == (full_name, family)


def test_names_need_neither_a_jvm_nor_the_web_once_cached(tmp_path):
    (tmp_path / "topics").mkdir()
    write(tmp_path / "topics" / "topics.dl19-passage.txt", "1\tq\n")
    code = (
        "import sys; from hypserini.formats.topics import load_topics; load_topics('dl19');"
        "print(sorted({'jnius', 'pyserini', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYSERINI_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_file_in_the_working_folder_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dl19", "7\tmy own\n")
    assert load_topics("dl19").items == [("7", "my own")]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("dl18", "dl19"),
        ("core71", "core17"),
        ("beir-v1.0.0-scifat-test", "beir-v1.0.0-scifact-test"),
    ],
)
def test_unknown_names_suggest_the_nearest(name, nearest):
    with pytest.raises(
        TopicsError, match=f"unknown topics {name}: .*nearest names are .*{nearest}"
    ):
        load_topics(name)


def test_known_names_that_are_not_cached_say_where_to_put_the_file(tmp_path, monkeypatch):
    from hypserini.jvm import java_class

    if find_cached("topics", "dl22"):
        pytest.skip("dl22 lies in this machine's cache")
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    # A proxy that nobody serves: the web is out of reach wherever this runs.
    system = java_class("java.lang.System")
    system.setProperty("https.proxyHost", "127.0.0.1")
    system.setProperty("https.proxyPort", "9")
    try:
        with pytest.raises(TopicsError, match="topics dl22 cannot be fetched") as caught:
            load_topics("dl22")
    finally:
        system.clearProperty("https.proxyHost")
        system.clearProperty("https.proxyPort")
    assert f"put the file as {tmp_path / 'topics-and-qrels' / 'topics.dl22.txt'}" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", "1\tone\n2 two\n", r"line 2: no TAB"),
        ("t.tsv", "1\tone\n\n1\tagain\n", r"line 3: topic 1 was already given in line 1"),
        ("t.tsv", "1\tone\n2\t \n", r"line 2: topic 2 has no text"),
        ("t.tsv", "1\tone\n\ttwo\n", r"line 2: the topic has no id"),
        ("t.tsv", "who won\t['x']\n", r"line 1: the id 'who won' contains white space"),
        ("t.tsv", "\n", r"holds no topics"),
        ("t.jsonl", '{"id": 1, "text": "a"}\n{"id": 2, "text"}\n', r"line 2: malformed JSON"),
        ("t.jsonl", '{"id": 1, "text": "a"}\n{"id": 2}\n', r"line 2: the topic has no text"),
        ("t.jsonl", '{"text": "a"}\n{"text": "b"}\n', r"line 1: the topic has no id"),
        ("t.jsonl", '{"id": 1, "text": 7}\n', r"text of topic 1 is not a string"),
        ("t.json", "[1]", r"topic 1: expected a JSON object"),
        ("t.json", '{"1": {"title": ""}}', r"topic 1 has no text"),
        ("t.trec", "<top>\n<num>1\n<desc>d\n</top>\n", r"line 1: the topic has no <title>"),
        ("t.trec", "<top>\n<num>1\n<title>t\n", r"line 1: the topic is not closed"),
        ("t.tsv.gz", None, r"damaged gzip"),
        ("t.tsv", "qid\tquery\n", r"holds no topics"),
        ("t.trec", "<top", r"line 1: the topic is not closed by </top>"),
        ("t.trec", "<top><num>1<title>a</top>\n</top>", r"line 1: the topic is closed before"),
        ("t.trec", "<top><num>1<title>a\n<top>", r"line 1: the topic is not closed"),
        (
            "t.xml",
            "<topic number='1'><query>a\n<topic number='2'></topic>",
            r"line 1: .*not closed",
        ),
        ("t.xml", "<topic><query>a</query></topic>", r"line 1: the topic has no id"),
        ("t.xml", "<html><body>", r"no <top> and no <topic>"),
        ("t.json", '{"1": "first", "1": "second"}', r"the key '1' is there twice"),
        ("t.jsonl", '{"qid": 1.5, "text": "a"}', r"line 1: the id is not a string"),
        ("t.jsonl", '{"qid": "a b", "text": "a"}', r"line 1: the id 'a b' contains white space"),
        ("t.jsonl", '{"qid": ' + "9" * 5000 + "}", r"line 1: malformed JSON \(a number has"),
        ("t.jsonl", '{"qid": ' + "[" * 3000, r"line 1: malformed JSON \(nested too deeply"),
        ("t.jsonl", '{"qid": "1", "x": "' + "y" * 9999, r"line 1: malformed JSON"),
        ("t.json", "[1" + "0" * 400 + "]", r"topic 1: expected a JSON object, found 1000"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is None:
        path.write_bytes(gzip.compress(b"1\tone\n")[:-6])
    else:
        path.write_text(content)
    with pytest.raises(TopicsError, match=message) as caught:
        load_topics(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_many_open_tags_take_no_time(tmp_path):
    # Each would be looked for to the end of the file.
    for tag in ("<top", "<top>", "<topic", "<topic>", "<topic number='1'>" + "<a>" * 9, "<num"):
        path = write(tmp_path / "t", tag * 100_000)
        with pytest.raises(TopicsError):
            load_topics(path)


def test_missing_files_and_folders_are_told_apart_from_names(tmp_path):
    with pytest.raises(TopicsError, match=r"topics file .*absent\.tsv does not exist"):
        load_topics(tmp_path / "absent.tsv")
    with pytest.raises(TopicsError, match="is a folder"):
        load_topics(tmp_path)
    for name in ("x" * 5000, "a/" * 5000, "a\0b.tsv"):
        with pytest.raises(TopicsError) as caught:
            load_topics(name)
        assert len(str(caught.value)) < 500


def test_reads_cacm(cacm):
    assert len(load_topics(cacm / "topics.tsv")) == 64
