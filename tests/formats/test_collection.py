from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from hypserini.errors import CollectionError
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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "c.jsonl",
            b'{"id": "1", "contents": "a"}\n{"id": "2" "contents"}\n',
            r"line 2: malformed",
        ),
        ("c.jsonl", b'{"id": "1", "contents": "a"}\n[1]\n', r"line 2: expected a JSON object"),
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
        ("c.tsv", b"1\ttext\n2 text\n", r"line 2: no TAB"),
        ("c.tsv", b"1\ttext\n\ttext\n", r"line 2: the id is empty"),
        ("c.tsv", b"1\tcaf\xe9\n", r"line 1: not UTF-8 .*convert"),
        ("c.jsonl.gz", b"no gzip at all", r"damaged gzip"),
        ("c.jsonl.gz", gzip.compress(lines().encode())[:-12], r"damaged gzip"),
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


def test_missing_paths_name_what_is_near(tmp_path):
    path = write(tmp_path / "corpus.jsonl", lines())
    with pytest.raises(CollectionError, match=f"does not exist .*nearest is {path}"):
        Collection(tmp_path / "corpus.json")
    with pytest.raises(CollectionError, match="holds no nowhere"):
        Collection(tmp_path / "nowhere" / "corpus.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CollectionError, match="holds no collection"):
        Collection(tmp_path / "empty")


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
