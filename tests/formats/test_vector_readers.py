"""Vectors of every format: what they hold, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hypserini.errors import CollectionError
from hypserini.formats.vector_readers import VectorSource
from hypserini.formats.vector_writers import FORMATS, MANIFEST, Manifest, write_vectors

ROWS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
DOCIDS = [f"d{n}" for n in range(len(ROWS))]


def read(path: Path) -> tuple[list[str], np.ndarray]:
    blocks = list(VectorSource(path))
    docids = [docid for block in blocks for docid in block.docids]
    return docids, np.concatenate([block.vectors for block in blocks])


def refused(path: Path) -> str:
    with pytest.raises(CollectionError) as caught:
        read(path)
    message = str(caught.value)
    assert len(message) < 500
    assert "\n" not in message
    assert str(path.parent) in message
    return message


def beside(folder: Path, docids=DOCIDS, name: str = "docids.txt") -> None:
    (folder / name).write_text("".join(f"{docid}\n" for docid in docids))


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_is_read(tmp_path, format: str) -> None:
    manifest = Manifest(format, "m", "f", 4, "cls", 8, "c", documents=50)
    texts = [f"text\u2028 {n} é\ud800" if format == "jsonl" else f"text {n} é" for n in range(50)]
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    raws = [json.dumps({"id": docid}) for docid in DOCIDS]
    with write_vectors(tmp_path / "made", manifest) as writer:
        writer.write(DOCIDS[:20], ROWS[:20], texts[:20], raws[:20])
        writer.write(DOCIDS[20:], ROWS[20:], texts[20:], raws[20:])
    source = VectorSource(tmp_path / "made")
    assert source.manifest == manifest
    assert source.documents == 50
    [block] = list(source)
    assert (block.docids, block.contents, block.raws) == (DOCIDS, texts, raws)
    assert np.array_equal(block.vectors, ROWS)
    (tmp_path / "made" / MANIFEST).unlink()
    assert VectorSource(tmp_path / "made").documents == (None if format == "jsonl" else 50)


def test_marks_and_first_lines_of_docids_are_left_out(tmp_path) -> None:
    np.save(tmp_path / "v.npy", ROWS[:2])
    for text in ("\ufeffa\r\nb\r\n", "docid\na\nb\n", "a\n\n b \n"):
        (tmp_path / "docids.txt").write_text(text)
        assert read(tmp_path / "v.npy")[0] == ["a", "b"]


def test_what_a_folder_leaves_out_is_said(tmp_path, caplog) -> None:
    np.save(tmp_path / "v.npy", ROWS)
    beside(tmp_path, name="v.docids.txt")
    (tmp_path / "documents.jsonl").write_text("{}\n" * 50)
    VectorSource(tmp_path)
    assert not caplog.records
    (tmp_path / "shard-1").mkdir()
    (tmp_path / "more.bin").write_text("")
    VectorSource(tmp_path)
    assert "left out: more.bin, shard-1" in caplog.text


# Faiss


def faiss_index(kind: str, rows: np.ndarray = ROWS):
    faiss = pytest.importorskip("faiss")
    index = faiss.index_factory(rows.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    if kind.startswith("IDMap"):
        index.add_with_ids(rows, np.arange(len(rows))[::-1].copy())
    else:
        index.add(rows)
    return index


def save_faiss(folder: Path, index, name: str = "docid") -> None:
    pytest.importorskip("faiss").write_index(index, str(folder / "index"))
    beside(folder, name=name)


@pytest.mark.parametrize("kind", ["Flat", "HNSW8,Flat", "IDMap,Flat", "IDMap2,Flat", "IDMap,HNSW8"])
def test_flat_indexes_of_faiss(tmp_path, kind: str) -> None:
    save_faiss(tmp_path, faiss_index(kind))
    docids, vectors = read(tmp_path)
    assert np.array_equal(vectors, ROWS)
    assert VectorSource(tmp_path).documents == len(ROWS)
    # As a search gives them: by the ids that the index was given.
    assert docids == (DOCIDS[::-1] if kind.startswith("IDMap") else DOCIDS)


def test_a_flat_index_of_another_metric(tmp_path) -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlat(4, faiss.METRIC_L1)
    index.add(ROWS)
    save_faiss(tmp_path, index)
    assert np.array_equal(read(tmp_path)[1], ROWS)


@pytest.mark.parametrize(
    "kind",
    ["SQ8", "PQ2x4", "IVF2,Flat", "IVF2,PQ2x4", "HNSW8_SQ8", "PCA2,Flat", "IDMap,SQ8"],
)
def test_compressed_indexes_of_faiss_are_refused(tmp_path, kind: str) -> None:
    save_faiss(tmp_path, faiss_index(kind))
    assert "whose vectors are compressed or lie otherwise" in refused(tmp_path)


def test_ids_of_faiss_count_the_docids(tmp_path) -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexIDMap(faiss.IndexFlatIP(4))
    index.add_with_ids(ROWS, np.arange(50) * 1000)
    save_faiss(tmp_path, index)
    assert "the vector number 2 has the id 1000, and there are 50 docids" in refused(tmp_path)
    beside(tmp_path, [f"e{n}" for n in range(49_001)], "docid")
    assert read(tmp_path)[0] == [f"e{n}" for n in range(0, 50_000, 1000)]
    beside(tmp_path, DOCIDS[:-1], "docid")
    save_faiss(tmp_path, faiss_index("Flat"))
    beside(tmp_path, DOCIDS[:-1], "docid")
    assert "49 docids for 50 vectors" in refused(tmp_path)


def test_a_damaged_index_of_faiss_does_not_end_the_process(tmp_path) -> None:
    for kind in ("Flat", "IDMap,Flat", "HNSW8,Flat"):
        save_faiss(tmp_path, faiss_index(kind))
        whole = (tmp_path / "index").read_bytes()
        files = [whole[:end] for end in (0, 3, 4, 20, 45, 90, len(whole) - 1)]
        for at in range(0, 120, 4):
            for number in (2**31 - 1, 2**62, -1):
                files.append(whole[:at] + struct.pack("<q", number) + whole[at + 8 :])
        for number, data in enumerate(files):
            folder = tmp_path / f"{kind}-{number}"
            folder.mkdir()
            beside(folder, name="docid")
            (folder / "index").write_bytes(data)
    code = (
        "import sys, pathlib; from hypserini.formats.vector_readers import *\n"
        "from hypserini.errors import CollectionError\n"
        "for folder in map(pathlib.Path, sys.argv[1:]):\n"
        "    try: list(VectorSource(folder))\n"
        "    except CollectionError: pass\n"
        "assert 'faiss' not in sys.modules\n"
    )
    folders = [str(path) for path in tmp_path.iterdir() if path.is_dir()]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# .npy


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_precision(tmp_path, dtype: str, order: str) -> None:
    beside(tmp_path)
    array = np.asarray(ROWS, dtype=dtype, order=order)
    (tmp_path / "v.npy").write_bytes(npy(array))
    assert np.array_equal(read(tmp_path)[1], array.astype(np.float32))


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=ROWS)
    return file.getvalue()


WHOLE = npy(ROWS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npz(), "not an array of numbers"),
        (WHOLE.replace(b"), }", b"(, }"), "not an array of numbers"),
        (
            WHOLE.replace(b"(50, 4)", b"(50, 1" + b"0" * 400 + b")")[:128] + WHOLE[128:],
            "not an array",
        ),
        (WHOLE.replace(b"(50, 4)", b"(-1, 4)"), "not an array of numbers"),
        (WHOLE.replace(b"'descr'", b"'descR'"), "not an array of numbers"),
        (WHOLE.replace(b"'<f4'", b"'<O8'"), "not an array of numbers"),
        (WHOLE.replace(b"'<f4'", b"'|V4'"), "expected [documents, dimension]"),
        (WHOLE.replace(b"{'descr'", b"[[[[[[[["), "not an array of numbers"),
        (WHOLE.replace(b"False", b"\xff\xfe\xfd\xfc\xfb"), "not an array of numbers"),
        (WHOLE[:-1], "not an array of numbers"),
        (WHOLE[:40], "not an array of numbers"),
        (b"", "not an array of numbers"),
        (npy(np.array([{"a": 1}], dtype=object)), "not an array of numbers"),
        (npy(ROWS[0]), "expected [documents, dimension]"),
        (npy(ROWS.astype(np.int32)), "expected [documents, dimension]"),
        (npy(ROWS[:, :0]), "expected [documents, dimension]"),
        (npy(ROWS[:10]), "50 docids for 10 vectors"),
    ],
)
def test_arrays_that_are_damaged_or_others(tmp_path, data: bytes, message: str) -> None:
    beside(tmp_path)
    (tmp_path / "v.npy").write_bytes(data)
    assert message in refused(tmp_path / "v.npy")


def test_an_empty_shard_has_no_blocks(tmp_path) -> None:
    (tmp_path / "docids.txt").write_text("")
    np.save(tmp_path / "v.npy", ROWS[:0])
    assert list(VectorSource(tmp_path)) == []


@pytest.mark.parametrize(
    ("docids", "message"),
    [
        (b"\xff\n", "docids.txt, line 1: not UTF-8"),
        (b"a\nb c\n", "docids.txt, line 2: the id 'b c' contains white space"),
        (b"a\n" + b"b" * 9000, "docids.txt, line 2: the id"),
    ],
)
def test_docids_that_cannot_be_used(tmp_path, docids: bytes, message: str) -> None:
    np.save(tmp_path / "v.npy", ROWS[:2])
    (tmp_path / "docids.txt").write_bytes(docids)
    assert message in refused(tmp_path / "v.npy")


@pytest.mark.parametrize(
    "line", ["[1]", "{", '{"contents": 5}', '{"contents": "a", "raw": {}}', "9" * 5000]
)
def test_texts_beside_that_cannot_be_used(tmp_path, line: str) -> None:
    np.save(tmp_path / "v.npy", ROWS[:2])
    beside(tmp_path, "ab")
    (tmp_path / "documents.jsonl").write_text('{"contents": "x"}\n' + line + "\n")
    assert "documents.jsonl, line 2: expected a JSON object" in refused(tmp_path / "v.npy")
    (tmp_path / "documents.jsonl").write_text('{"contents": "x"}\n')
    assert "ends before" in refused(tmp_path / "v.npy")


def test_texts_beside_are_those_of_the_same_documents(tmp_path) -> None:
    np.save(tmp_path / "v.npy", ROWS[:2])
    beside(tmp_path, "ab")
    lines = [json.dumps({"id": docid, "contents": f"of {docid}"}) + "\n" for docid in "abc"]
    documents = tmp_path / "documents.jsonl"
    documents.write_text("".join(lines))
    assert "documents.jsonl, line 3: " in refused(tmp_path / "v.npy")
    documents.write_text("".join(lines[1:]))
    assert "documents.jsonl, line 1: the text of 'b', where 'a'" in refused(tmp_path / "v.npy")
    documents.unlink()
    (tmp_path / "documents.jsonl.gz").write_bytes(gzip.compress("".join(lines[:2]).encode()))
    [block] = VectorSource(tmp_path)
    assert block.contents == ["of a", "of b"]


# JSON lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "vector": [1' + "0" * 400 + "]}", "the vector is not a list of numbers"),
        ('{"id": "a", "vector": [' + "9" * 5000 + "]}", "a number has thousands of digits"),
        ('{"id": "a", "vector": ["1", "2"]}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": [null, 1]}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": [true, false]}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": [[1, 2]]}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": {"0": 1}}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": []}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": 5}', "the vector is not a list of numbers"),
        ('{"id": "a", "vector": ' + "[" * 5000, "nested too deeply"),
        ('{"id": null, "vector": [1]}', "the id is not a string"),
        ('{"id": NaN, "vector": [1]}', "the id is not a string"),
        ('{"id": " ", "vector": [1]}', "the id is empty"),
        ('{"id": "a\\u00a0b", "vector": [1]}', "contains white space"),
        ("[]", "expected an object with an id and a vector"),
    ],
)
def test_lines_that_cannot_be_used(tmp_path, line: str, message: str) -> None:
    (tmp_path / "v.jsonl").write_text('{"id": "x", "vector": [1]}\n' + line + "\n")
    found = refused(tmp_path / "v.jsonl")
    assert "v.jsonl, line 2: " in found
    assert message in found


def test_lines_that_are_not_utf8_and_damaged_gzip(tmp_path) -> None:
    (tmp_path / "v.jsonl").write_bytes(b'{"id": "\xff", "vector": [1]}')
    assert "v.jsonl, line 1: not UTF-8" in refused(tmp_path / "v.jsonl")
    (tmp_path / "w.jsonl.gz").write_bytes(b"no gzip")
    assert "w.jsonl.gz is a damaged gzip file" in refused(tmp_path / "w.jsonl.gz")


# Parquet


def parquet(folder: Path, **columns: object) -> Path:
    arrow = pytest.importorskip("pyarrow")
    table = pytest.importorskip("pyarrow.parquet")
    table.write_table(arrow.table(columns), folder / "v.parquet", compression="none")
    return folder / "v.parquet"


def test_lists_of_any_kind(tmp_path) -> None:
    arrow = pytest.importorskip("pyarrow")
    for numbers in (arrow.float32(), arrow.float64(), arrow.int32()):
        for kind in (arrow.list_(numbers), arrow.large_list(numbers), arrow.list_(numbers, 2)):
            path = parquet(tmp_path, docid=[1, 2], vector=arrow.array([[1, 2], [3, 4]], kind))
            docids, vectors = read(path)
            assert docids == ["1", "2"]
            assert vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"docid": ["a"], "text": ["b"]}, "expected the columns docid and vector"),
        ({"docid": ["a"], "vector": ["b"]}, "the column vector holds string"),
        ({"docid": ["a"], "vector": [["b"]]}, "the column vector holds list<"),
        ({"docid": ["a"], "vector": [{"b": 1}]}, "the column vector holds struct"),
        ({"docid": ["a", "b"], "vector": [[1.0], None]}, "or a number of one, is missing"),
        ({"docid": ["a"], "vector": [[1.0, None]]}, "or a number of one, is missing"),
        ({"docid": ["a", "b"], "vector": [[1.0], [1.0, 2]]}, "the vectors differ in length"),
        ({"docid": ["a", None], "vector": [[1.0], [2.0]]}, "row 2: the id is not a string"),
        ({"docid": ["a", "b c"], "vector": [[1.0], [2.0]]}, "row 2: the id 'b c' contains"),
        ({"docid": [1.5], "vector": [[1.0]]}, "row 1: the id is not a string"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_used(tmp_path, columns, message: str) -> None:
    assert message in refused(parquet(tmp_path, **columns))


def test_damaged_parquet(tmp_path) -> None:
    path = parquet(tmp_path, docid=["a", "b"], vector=[[1.0, 2], [3, 4]])
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[:-1], whole[:40], whole[:-8] + b"\xff\xff\xff\x7fPAR1"):
        path.write_bytes(data)
        assert "not Parquet, or damaged" in refused(path)


# The manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": "4"}, "dimension is '4'"),
        ({"dimension": True}, "dimension is True"),
        ({"shard_id": 1}, "shard 1 of 1"),
        ({"shard_num": 10**12}, "shard 0 of 1000000000000"),
        ({"documents": -1}, "documents is -1"),
        ({"model": None}, "model is None"),
        ({"more": 1}, "there is no field 'more'"),
    ],
)
def test_manifests_that_are_damaged(tmp_path, change, message: str) -> None:
    np.save(tmp_path / "v.npy", ROWS)
    beside(tmp_path)
    values = {"format": "npy", "model": "m", "fingerprint": "f", "dimension": 4, "pooling": "cls"}
    values |= {"max_length": 8, "collection": "c", **change}
    (tmp_path / MANIFEST).write_text(json.dumps(values))
    found = refused(tmp_path)
    assert "encode this shard again" in found
    assert message in found


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 5000, '{"format": ' + "9" * 5000])
def test_manifests_that_are_none(tmp_path, text: str) -> None:
    np.save(tmp_path / "v.npy", ROWS)
    beside(tmp_path)
    (tmp_path / MANIFEST).write_text(text)
    assert MANIFEST in refused(tmp_path)


def test_a_copy_that_is_not_whole_is_told(tmp_path) -> None:
    manifest = Manifest("jsonl", "m", "f", 4, "cls", 8, "c", documents=50)
    with write_vectors(tmp_path / "made", manifest) as writer:
        writer.write(DOCIDS, ROWS, [""] * 50, [""] * 50)
    lines = (tmp_path / "made" / "embeddings.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "made" / "embeddings.jsonl").write_text("".join(lines[:48]))
    assert "holds 48 vectors, and" in refused(tmp_path / "made")


def test_a_collection_need_not_lie_at_a_path_in_utf8(tmp_path) -> None:
    strange = os.fsdecode(b"donn\xe9es/corpus.jsonl")
    manifest = Manifest("npy", "m", "f", 4, "cls", 8, strange, documents=50)
    with write_vectors(tmp_path / "made", manifest) as writer:
        writer.write(DOCIDS, ROWS, [""] * 50, [""] * 50)
    assert VectorSource(tmp_path / "made").manifest.collection == strange


def test_missing_vectors(tmp_path) -> None:
    for path in (tmp_path / "absent", Path("x" * 5000), Path("a\0b")):
        with pytest.raises(CollectionError, match=r"do(es)? not exist"):
            VectorSource(path)
    with pytest.raises(CollectionError, match="holds no vectors"):
        VectorSource(tmp_path)
    np.save(tmp_path / "v.npy", ROWS)
    assert "has no docids: put docids.txt beside it" in refused(tmp_path / "v.npy")
