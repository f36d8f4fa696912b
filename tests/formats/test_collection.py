from __future__ import annotations

import gzip
import json
import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypserini.errors import CollectionError
from hypserini.formats import collection_files, json_arrays, reading
from hypserini.formats.collection import Collection, read_collection

DOCUMENTS = [
    {"id": "a1", "contents": "naïve Bayes", "title": "One"},
    {"id": 2, "contents": "", "title": "Two"},
    {"id": "c-3", "contents": "smile 😀 and\ttab\nnewline", "title": ""},
]
EXPECTED = [
    ("a1", "naïve Bayes"),
    ("2", ""),
    ("c-3", "smile 😀 and\ttab\nnewline"),
]


def pairs(collection) -> list[tuple[str, str]]:
    return [(document.docid, document.contents) for document in collection]


def lines(documents=DOCUMENTS, **options) -> str:
    return "".join(json.dumps(document, **options) + "\n" for document in documents)


def write(path, text: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.jsonl", lines()),
        ("c.jsonl.gz", lines()),
        ("c.jsonl", lines(ensure_ascii=False)),
        ("c.json", json.dumps(DOCUMENTS)),
        ("c.json", json.dumps(DOCUMENTS, indent=2, ensure_ascii=False)),
        ("c.json.gz", json.dumps(DOCUMENTS)),
        ("c.json", lines()),
        ("c.jsonl", "\ufeff\n" + lines().replace("\n", "\r\n\n")),
        ("without-suffix", lines()),
        ("without-suffix", json.dumps(DOCUMENTS)),
    ],
)
def test_reads_json_in_every_shape(tmp_path, name, text):
    path = write(tmp_path / name, text)
    assert pairs(read_collection(path)) == EXPECTED
    raws = [json.loads(document.raw) for document in read_collection(path)]
    assert raws == DOCUMENTS


def test_reads_one_object_over_several_lines(tmp_path):
    path = write(tmp_path / "one.json", json.dumps(DOCUMENTS[0], indent=2))
    assert pairs(read_collection(path)) == EXPECTED[:1]


def test_reads_tsv_as_ms_marco_writes_it(tmp_path):
    path = write(tmp_path / "collection.tsv", "0\tThe first passage.\n1\t\n2\tThird\twith a tab\n")
    documents = list(read_collection(path))
    assert pairs(documents) == [
        ("0", "The first passage."),
        ("1", ""),
        ("2", "Third with a tab"),
    ]
    assert json.loads(documents[0].raw) == {"id": "0", "contents": "The first passage."}
    assert [document.line for document in documents] == [1, 2, 3]
    chosen = read_collection(
        write(tmp_path / "docs.tsv", "D1\thttp://x\tT\tB\n"), fields=["3", "4"]
    )
    assert pairs(chosen) == [("D1", "T B")]


def test_beir_takes_title_and_text(tmp_path):
    beir = [
        {"_id": "x", "title": "Title", "text": "Text.", "metadata": {}},
        {"_id": "y", "title": "", "text": "Text."},
        {"_id": "z", "text": "Text."},
    ]
    # As BEIR's data sets are distributed: queries beside the corpus.
    write(tmp_path / "nfcorpus" / "corpus.jsonl", lines(beir))
    write(tmp_path / "nfcorpus" / "queries.jsonl", lines([{"_id": "q", "text": "?"}]))
    expected = [("x", "Title Text."), ("y", "Text."), ("z", "Text.")]
    assert pairs(read_collection(tmp_path / "nfcorpus")) == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"pid": "m_0_0", "passage": "x", "docid": "m_0", "text": "p"}, ("m_0_0", "p")),
        ({"docid": "D1", "url": "u", "text": "p"}, ("D1", "p")),
        ({"id": None, "_id": "a", "text": "p"}, ("a", "p")),
        ({"id": "", "docno": "a", "text": "p"}, ("a", "p")),
        ({"id": "a", "contents": "", "title": "t", "text": "p"}, ("a", "t p")),
        ({"id": "a", "contents": None, "text": "p"}, ("a", "p")),
        ({"id": "a", "contents": " ", "title": None, "text": "p"}, ("a", "p")),
        ({"id": "a", "contents": "c", "title": "t", "text": "p"}, ("a", "c")),
        ({"id": "a", "title": "t", "text": ""}, ("a", "t")),
        ({"id": "a", "contents": None}, ("a", "")),
        ({"id": "a", "contents": "x\0y"}, ("a", "x\ufffdy")),
    ],
)
def test_the_first_field_with_something_in_it_counts(tmp_path, document, expected):
    assert pairs(read_collection(write(tmp_path / "c.jsonl", lines([document])))) == [expected]


def test_passages_of_ms_marco_v2_have_their_own_ids(tmp_path):
    passages = [{"pid": f"p_{n}", "docid": "d_0", "passage": f"text {n}"} for n in range(2)]
    path = write(tmp_path / "msmarco_passage_00.jsonl", lines(passages))
    assert pairs(read_collection(path, fields=["passage"])) == [
        ("p_0", "text 0"),
        ("p_1", "text 1"),
    ]


def test_reads_dprs_passages(tmp_path):
    text = (
        "id\ttext\ttitle\n"
        '1\t"Aaron ( or ; ""Ahärôn"") is a prophet"\tAaron\n'
        '2\t"God at Sinai granted Aaron"\t"Aaron, ""the"" priest"\n'
        '3\t"with\ta tab"\tTab\n'
    )
    path = write(tmp_path / "psgs_w100.tsv.gz", text)
    expected = [
        ("1", 'Aaron Aaron ( or ; "Ahärôn") is a prophet'),
        ("2", 'Aaron, "the" priest God at Sinai granted Aaron'),
        ("3", "Tab with\ta tab"),
    ]
    assert pairs(read_collection(path)) == expected
    assert [d.line for d in read_collection(path)] == [2, 3, 4]
    assert pairs(read_collection(path, fields=["title"]))[0] == ("1", "Aaron")
    assert pairs(read_collection(path, fields=["3", "1"]))[0] == ("1", "Aaron 1")
    for skip in range(4):
        assert pairs(Collection(path).read(skip)) == expected[skip:]


def test_first_lines_of_tsv_name_the_columns(tmp_path):
    path = write(tmp_path / "c.tsv", "docid\turl\ttitle\tbody\nD1\thttp://x\tT\tB\nD2\tu\t\t\n")
    assert pairs(read_collection(path)) == [("D1", "http://x T B"), ("D2", "u")]
    assert pairs(read_collection(path, fields=["title", "body"])) == [("D1", "T B"), ("D2", "")]
    with pytest.raises(CollectionError, match=r"line 2: .*none of the chosen fields text"):
        list(read_collection(path, fields=["text"]))
    without = write(tmp_path / "d.tsv", "D1\ta\n")
    for fields in (["0"], ["title"], ["3"], ["9" * 5000]):
        with pytest.raises(CollectionError, match=r"line 1: no columns .*counted from 1") as caught:
            list(read_collection(without, fields=fields))
        assert len(str(caught.value)) < 500


def test_fields_are_joined_in_the_order_given(tmp_path):
    path = write(tmp_path / "c.jsonl", lines(DOCUMENTS[:2]))
    chosen = read_collection(path, fields=["title", "contents", "absent"])
    assert pairs(chosen) == [("a1", "One naïve Bayes"), ("2", "Two")]
    with pytest.raises(CollectionError, match=r"c\.jsonl, line 1: .*chosen fields body.*--fields"):
        list(read_collection(path, fields=["body"]))


def test_folders_are_read_recursively_by_name(tmp_path):
    write(tmp_path / "b.jsonl", lines([{"id": "3", "contents": ""}]))
    write(tmp_path / "a" / "2.jsonl.gz", lines([{"id": "2", "contents": ""}]))
    write(tmp_path / "a" / "1.json", json.dumps([{"id": "1", "contents": ""}]))
    write(tmp_path / "a" / "notes.md", "no collection")
    write(tmp_path / ".hidden" / "0.jsonl", lines())
    assert [document.docid for document in read_collection(tmp_path)] == ["1", "2", "3"]
    for skip in range(5):
        rest = [document.docid for document in Collection(tmp_path).read(skip)]
        assert rest == ["1", "2", "3"][skip:]


def test_folders_follow_links_and_read_nothing_twice(tmp_path, caplog):
    write(tmp_path / "elsewhere" / "2.jsonl", lines([{"id": "2", "contents": ""}]))
    folder = tmp_path / "folder"
    write(folder / "p1" / "1.jsonl", lines([{"id": "1", "contents": ""}]))
    (folder / "p2").symlink_to(tmp_path / "elsewhere")
    (folder / "p3").symlink_to("p2")
    (folder / "round").symlink_to("..")
    (folder / "p1" / "round").symlink_to(folder)
    (folder / "z.jsonl").symlink_to("p1/1.jsonl")
    (folder / "gone.jsonl").symlink_to("nowhere")
    assert [document.docid for document in read_collection(folder)] == ["1", "2"]
    assert "gone.jsonl" in caplog.text


def test_what_a_folder_leaves_out_is_said(tmp_path, caplog):
    def left_out(name: str, files: dict[str, str]) -> str:
        for file, text in files.items():
            write(tmp_path / name / file, text)
        caplog.clear()
        assert [document.docid for document in read_collection(tmp_path / name)] == ["1"]
        return "".join(record.getMessage() for record in caplog.records)

    one = lines([{"id": "1", "contents": ""}])
    said = left_out("mixed", {"a.jsonl": one, "b/more.tsv": "3\tz\n", "c.txt": "4\tx\n"})
    assert "left out (2): b/more.tsv, c.txt" in said
    said = left_out(
        "parts", {"corpus.jsonl": one, "corpus_part2.jsonl": one, "corpus.jsonl.gz": one}
    )
    assert "left out (2): corpus.jsonl.gz, corpus_part2.jsonl" in said
    beir = {"corpus.jsonl": one, "queries.jsonl": one, "qrels/test.tsv": "", "README.md": ""}
    assert left_out("beir", beir) == ""
    marco = {"collection.tsv": "1\tx\n", "queries.dev.tsv": "", "qrels.dev.small.tsv": ""}
    assert left_out("marco", {**marco, "triples.train.small.tsv": "", ".DS_Store": ""}) == ""
    many = {f"part-{n:05}": "" for n in range(3000)}
    assert len(left_out("many", {"a.jsonl": one, **many})) < 500


def test_a_pipe_is_read_as_a_file(tmp_path):
    end, other = os.pipe()
    os.write(other, lines().encode())
    os.close(other)
    if not os.path.exists(f"/dev/fd/{end}"):
        pytest.skip("no /dev/fd here")
    collection = Collection(f"/dev/fd/{end}")
    assert pairs(collection) == EXPECTED
    assert (collection.bytes_read, collection.total_bytes) == (0, 0)
    os.close(end)


def test_resuming_keeps_the_line_numbers_and_does_not_parse(tmp_path):
    path = write(tmp_path / "c.jsonl", "not JSON\n\n" + lines())
    documents = list(Collection(path).read(skip=2))
    assert [(document.docid, document.line) for document in documents] == [("2", 4), ("c-3", 5)]


def test_progress_goes_from_nothing_to_the_size_of_the_files(tmp_path):
    many = [{"id": number, "contents": "x" * 500} for number in range(2000)]
    write(tmp_path / "a.jsonl", lines(many))
    write(tmp_path / "b.jsonl.gz", lines(many))
    collection = Collection(tmp_path)
    sizes = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert (collection.bytes_read, collection.total_bytes) == (0, sizes)
    seen = [collection.bytes_read for _ in collection]
    assert seen == sorted(seen)
    assert 0 < seen[1000] < 0.7 * sizes
    assert collection.bytes_read == sizes


def test_memory_stays_flat_for_an_array(tmp_path):
    document = json.dumps({"id": "d", "contents": "word " * 200})
    path = write(tmp_path / "c.json", "[" + ",".join([document] * 16_000) + "]")
    assert path.stat().st_size > 15_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_collection(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 16_000
    assert peak < 8_000_000


def test_half_a_surrogate_pair_does_not_reach_the_index(tmp_path):
    path = write(tmp_path / "c.jsonl", '{"id": "1", "contents": "a \\ud83d b"}\n')
    document = next(read_collection(path))
    assert document.contents.encode() == "a \ufffd b".encode()


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "contents": st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff")),
                "more": st.recursive(
                    st.one_of(st.none(), st.text(), st.floats(), st.integers()),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=3,
                ),
            }
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["array", "indented", "lines", "crlf"]),
    st.integers(1, 50),
    st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, documents, shape, chunk, ascii):
    documents = [{"id": f"d{n}", **document} for n, document in enumerate(documents)]
    indent = 1 if shape == "indented" else None
    texts = [json.dumps(document, ensure_ascii=ascii, indent=indent) for document in documents]
    if shape in ("lines", "crlf"):
        text = ("\r\n" if shape == "crlf" else "\n").join(texts)
    else:
        text = "\ufeff[" + ",\n".join(texts) + " ]\n"
    path = tmp_path_factory.getbasetemp() / f"{shape}.json{'l' * (shape in ('lines', 'crlf'))}"
    path.write_bytes(text.encode("utf-8", "surrogatepass" if ascii else "replace"))
    before, json_arrays.CHUNK = json_arrays.CHUNK, chunk
    try:
        found = list(read_collection(path))
    finally:
        json_arrays.CHUNK = before
    assert pairs(found) == [(document["id"], document["contents"]) for document in documents]
    assert [json.loads(document.raw)["id"] for document in found] == [d["id"] for d in documents]


def test_one_endless_element_does_not_fill_the_memory(tmp_path, monkeypatch):
    for module in (json_arrays, collection_files, reading):
        monkeypatch.setattr(module, "LONGEST_LINE", 2 << 20)
    body = "x" * (16 << 20)
    for name, text in (
        ("c.json", '[{"id": "1", "contents": "' + body),
        ("c.json", '{"id": "1",\n"contents": "' + body),
        ("c.jsonl", '{"id": "1", "contents": "' + body),
        ("c.tsv", "1\ta\n2\t" + body),
        ("c.jsonl.gz", '{"id": "1", "contents": "a"}\n{"id": "2", "contents": "' + body),
    ):
        path = write(tmp_path / name, text)
        tracemalloc.start()
        with pytest.raises(CollectionError, match=r"line \d: longer than 2 MiB"):
            list(read_collection(path))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 14 << 20


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "c.jsonl",
            b'{"id": "1", "contents": "a"}\n{"id": "2" "contents"}\n',
            r"line 2: malformed",
        ),
        ("c.jsonl", b'{"id": "1", "contents": "a"}\n[1]\n', r"line 2: expected a JSON object"),
        ("c.jsonl", b'{"id": "1", "contents": "a"}\n{"id": "2"\n{}\n', r"line 2: malformed JSON"),
        ("c.jsonl", b'{"contents": "a"}\n', r"line 1: the document has no id"),
        ("c.jsonl", b'\n{"id": " ", "contents": "a"}\n', r"line 2: the id is empty"),
        ("c.jsonl", b'{"id": null, "contents": "a"}\n', r"line 1: the id is not a string"),
        ("c.jsonl", b'{"id": "a b", "contents": "a"}\n', r"line 1: the id 'a b' contains white"),
        ("c.jsonl", b'{"id": "1", "contents": 5}\n', r"line 1: field contents is not a string"),
        ("c.jsonl", b'{"id": "1", "body": "a"}\n', r"line 1: .*no contents and no text.*--fields"),
        ("c.jsonl", b'{"id": "1", "contents": "a"}\n\xff\n', r"line 2: not UTF-8"),
        ("c.json", b'[{"id": "1", "contents": "a"},\n\n{"id": 2 3}]', r"line 3: malformed"),
        ("c.json", b'[{"id": "1", "contents": "a"}', r"line 1: malformed JSON \(the array is not"),
        ("c.json", b'[{"id": "1", "contents": "a"},\n "text"]', r"line 2: expected a JSON object"),
        ("c.json", b'{\n "id": "1",\n "contents" "a"\n}', r"line 3: malformed"),
        ("c.json", b'[{"id": "1", "contents": "a"}]\n[{"id": "2"}]', r"line 2: .*follows the end"),
        ("c.json", b'[{"id": "1", "contents": "a"}]\n\n}', r"line 3: .*follows the end"),
        ("c.json", b'[{"id": "1", "contents": "a"},\n{"id": "\xff"}]', r"line 2: not UTF-8"),
        ("c.json", b'[{"id": ' + b"9" * 5000 + b"}]", r"line 1: malformed JSON \(a number has"),
        ("c.json", b'[{"id": ' + b"[" * 5000, r"line 1: malformed JSON \(nested too deeply"),
        ("c.json", b'{"id":\n ' + b"[" * 5000, r"line 1: malformed JSON \(nested too deeply"),
        ("c.jsonl", b'\n{"id": ' + b"9" * 5000 + b"}", r"line 2: malformed JSON \(a number has"),
        ("c.jsonl", b'{"id": NaN, "contents": "a"}', r"line 1: the id is not a string .* but nan"),
        ("c.jsonl", b'{"id": {"a": 1}, "contents": "a"}', r"line 1: the id is not a string"),
        ("c.jsonl", b'{"id": "a\\u00a0b", "contents": "a"}', r"line 1: the id .* contains white"),
        ("c.jsonl", b'{"id": "' + b"x" * 9000 + b'", "contents": "a"}', r"longer than 8,191"),
        ("c.jsonl", b'{"id": "1", "contents": ["' + b"x" * 9000 + b'"]}', r"is not a string but"),
        ("c.jsonl", b'{"' + b"x" * 9000 + b'": 1}', r"line 1: the document has no id"),
        ("c.jsonl", gzip.compress(lines().encode(), mtime=0), r"line 1: gzipped, .*end it in \.gz"),
        ("c.tsv", b"id\ttext\n", r"holds no documents"),
        ("c.tsv", b"1\ttext\n2 text\n", r"line 2: no TAB"),
        ("c.tsv", b"1\ttext\n\ttext\n", r"line 2: the id is empty"),
        ("c.tsv", b"1\tcaf\xe9\n", r"line 1: not UTF-8 .*convert"),
        ("c.jsonl.gz", b"no gzip at all", r"damaged gzip"),
        ("c.jsonl.gz", gzip.compress(lines().encode(), mtime=0)[:-12], r"damaged gzip"),
        ("c.unknown", b"neither this nor that\n", r"cannot tell the format"),
        ("c.jsonl", b"", r"holds no documents"),
        ("c.json", b" [ ] ", r"holds no documents"),
        ("c.tsv", b"\n\n", r"holds no documents"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CollectionError, match=message) as caught:
        list(read_collection(path))
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_missing_paths_name_what_is_near(tmp_path):
    path = write(tmp_path / "corpus.jsonl", lines())
    with pytest.raises(CollectionError, match=f"does not exist .*nearest is {path}"):
        Collection(tmp_path / "corpus.json")
    with pytest.raises(CollectionError, match="holds no nowhere"):
        Collection(tmp_path / "nowhere" / "corpus.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CollectionError, match="holds no collection"):
        Collection(tmp_path / "empty")
    for name in ("x" * 5000, "x/" * 5000, "a\0b"):
        with pytest.raises(CollectionError, match="does not exist"):
            Collection(name)


def test_a_name_needs_ir_datasets(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(
        CollectionError, match=r"pip install hypserini\[datasets\].*collection\.tsv"
    ):
        Collection("msmarco-v1-passage")


def test_reads_cacm(cacm):
    documents = list(read_collection(cacm / "corpus.jsonl"))
    assert len(documents) == 3204
    assert len({document.docid for document in documents}) == 3204
