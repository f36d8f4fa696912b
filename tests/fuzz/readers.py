"""The readers that are given strange files, each with valid ones to begin from.

What a reader returns is checked as well: ids that a run can hold, texts that UTF-8 can.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from fuzz import seeds

from hypserini.errors import RunError
from hypserini.evaluate.measures import parse_measure
from hypserini.formats.collection import Collection
from hypserini.formats.docids import read_docids
from hypserini.formats.qrels import read_qrels
from hypserini.formats.runs import read_run
from hypserini.formats.topics import read_topics
from hypserini.formats.vector_readers import VectorSource
from hypserini.formats.vector_writers import MANIFEST
from hypserini.index.stored_text import StoredDocument


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        name: what it reads.
        file: where the file lies, in a folder of the reader's own.
        read: reads it, and raises AssertionError for what should not have been returned.
        seeds: valid files.
        beside: further files of the folder.
        words: what its files speak of: names of fields, and the like.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    beside: tuple[tuple[str, bytes], ...] = ()
    words: tuple[str, ...] = ()

    def prepare(self, folder: Path) -> Path:
        """Make the folder; returns the path of the file that is to be written."""
        for name, content in (*self.beside, (self.file, b"")):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.file


def check_ids(ids: Iterable[str]) -> None:
    for each in ids:
        assert each
        assert each.split() == [each]
        assert "\0" not in each
        each.encode()


def topics(path: Path) -> None:
    found = read_topics(path)
    check_ids(qid for qid, _ in found)
    assert len(dict(found)) == len(found) > 0
    for _, text in found:
        text.encode()
        assert text
        assert " ".join(text.split()) == text


def run(path: Path) -> None:
    found = read_run(path)
    check_ids(found)
    for hits in found.values():
        check_ids(docid for docid, _ in hits)
        scores = [score for _, score in hits]
        assert not any(map(math.isnan, scores))
        assert scores == sorted(scores, reverse=True)


def qrels(path: Path) -> None:
    found = read_qrels(path)
    check_ids(found)
    for grades in found.values():
        check_ids(grades)
        assert all(abs(grade) < 2**31 for grade in grades.values())


def collection(path: Path) -> None:
    found = list(Collection(path))
    check_ids(document.docid for document in found)
    for document in found:
        document.contents.encode()
        assert "\0" not in document.contents
        json.loads(document.raw)
    if len(found) > 1:
        assert list(Collection(path).read(1)) == found[1:]


def columns(path: Path) -> None:
    check_ids(document.docid for document in Collection(path, fields=["2", "1"]))


def named_columns(path: Path) -> None:
    check_ids(document.docid for document in Collection(path, fields=["title", "body"]))


def docids(path: Path) -> None:
    check_ids(read_docids(path, RunError))


def vectors(path: Path) -> None:
    for block in VectorSource(path):
        check_ids(block.docids)
        assert block.vectors.dtype == np.float32
        assert len(block.docids) == len(block.vectors) > 0
        assert block.vectors.ndim == 2
        for text in (*(block.contents or ()), *(block.raws or ())):
            text.encode()


def vector_folder(path: Path) -> None:
    vectors(path.parent)


def stored(path: Path) -> None:
    document = StoredDocument("d", path.read_bytes().decode(errors="replace"), ["title", "body"])
    contents = document.contents()
    assert contents is None or contents.encode() is not None
    document.get("id")


def measure(path: Path) -> None:
    str(parse_measure(path.read_bytes().decode(errors="surrogateescape")))


def config(path: Path) -> None:
    from hypserini.train.recipe.config import read_config

    json.dumps(read_config(path).given, default=str)


def override(path: Path) -> None:
    from hypserini.train.recipe.config import read_config

    text = path.read_bytes().decode(errors="surrogateescape")
    read_config(path.with_name("given.yaml"), [text])


def q_nets(path: Path) -> None:
    from hypserini.encode import SavedQNets

    saved = SavedQNets(path.parent)
    for qid in saved.qids:
        assert len(saved.load([qid])) == 1


def whole_examples(path: Path) -> None:
    from hypserini.train.data.examples import format_example, read_examples

    for _, example in read_examples(path):
        format_example(example).encode()


def json_lines(path: Path) -> None:
    from hypserini.train.data.json_lines import JsonLines
    from hypserini.train.data.selection import Selection

    data = JsonLines([path], Selection(negatives=1, scores=True), "score")
    for position in range(len(data)):
        example = data.read(position, random.Random(0))
        assert example.query.strip().encode()
        assert all(math.isfinite(item.score or 0) for item in example.items)


def texts(path: Path) -> None:
    from hypserini.train.data.text_store import TextStore

    for queries in (True, False):
        store = TextStore(path, queries=queries)
        for position in range(len(store)):
            text = store.text(position).encode()
            assert text.strip() or not queries


def triples(path: Path) -> None:
    from hypserini.train.data.selection import Selection
    from hypserini.train.data.text_store import TextStore
    from hypserini.train.data.triples import Triples

    store = TextStore(path.with_name("texts.tsv"))
    data = Triples(path, None, store, store, Selection(negatives=1))
    for position in range(len(data)):
        assert data.read(position, random.Random(0)).query


def beir(path: Path) -> None:
    from hypserini.train.data.beir import BeirFolder
    from hypserini.train.data.selection import Selection

    data = BeirFolder(path.parents[1], "test", Selection(negatives=1))
    for position in range(len(data)):
        assert len(data.read(position, random.Random(0)).items) == 2


# fmt: off
def _plain() -> Iterable[Reader]:
    words = ("qid", "query", "id", "title", "text", "number", "num", "top", "topic")
    yield Reader("topics", "t.txt", topics, seeds.TOPICS, words=words)
    yield Reader("topics that Pyserini numbers", "topics.microblog2011.txt", topics, seeds.TOPICS)
    words = ("qid", "docid", "hits", "score", "rank", "Q0", "docno")
    yield Reader("run", "r.txt", run, seeds.RUNS, words=words)
    words = ("query-id", "corpus-id", "score", "rel")
    yield Reader("qrels", "q.tsv", qrels, seeds.QRELS, words=words)
    words = seeds.JSON_WORDS
    any_kind = (*seeds.DOCUMENTS, seeds.ARRAYS[0], *seeds.TABLES)
    yield Reader("collection of JSON lines", "c.jsonl", collection, seeds.DOCUMENTS, words=words)
    yield Reader("collection of JSON", "c.json", collection, seeds.ARRAYS, words=words)
    yield Reader("collection of TSV", "c.tsv", collection, seeds.TABLES, words=words)
    yield Reader("collection of any kind", "c", collection, any_kind)
    yield Reader("columns of TSV", "c.tsv", columns, seeds.TABLES)
    yield Reader("named fields", "c", named_columns, seeds.NAMED, words=("title", "body"))
    yield Reader("docids", "d.txt", docids, (b"a\nb\n", b"docid\nd1\n\xc3\xa9\n"))
    yield Reader("stored document", "raw", stored, seeds.DOCUMENTS, words=("title", "body"))
    yield Reader("measure", "m", measure, (b"nDCG@10", b"R(rel=2)@1000", b"recip_rank"))


def _vectors() -> Iterable[Reader]:
    words, array = seeds.JSON_WORDS, ("v.npy", seeds.ARRAYS_OF_NUMBERS[0])
    yield Reader("vectors in JSON", "v.jsonl", vectors, seeds.VECTOR_LINES, words=words)
    yield Reader("vectors in .npy", "v.npy", vectors, seeds.ARRAYS_OF_NUMBERS, (seeds.NAMES,))
    yield Reader("docids beside vectors", "docids.txt", vector_folder, seeds.NAMES[1:], (array,))
    yield Reader("texts beside vectors", "documents.jsonl", vector_folder, seeds.TEXTS_BESIDE,
                 (seeds.NAMES, array), words)
    yield Reader("manifest", MANIFEST, vector_folder, seeds.MANIFESTS, (seeds.NAMES, array),
                 ("shard_num", "fields", "empty"))
    with suppress(ImportError):
        yield Reader("Faiss index", "index", vector_folder, seeds.faiss_indexes(), (seeds.NAMES,))
    with suppress(ImportError):
        yield Reader("vectors in Parquet", "v.parquet", vectors, (seeds.parquet(),))


def _training() -> Iterable[Reader]:
    words = ("query", "items", "content", "score", "type", "id")
    yield Reader("examples, whole", "e.jsonl", whole_examples, seeds.EXAMPLES, words=words)
    yield Reader("examples by number", "e.jsonl", json_lines, seeds.EXAMPLES, words=words)
    queries = (seeds.TABLES[1], *seeds.DOCUMENTS[:2], *seeds.TOPICS[:2])
    yield Reader("texts by id", "t.tsv", texts, queries, words=seeds.JSON_WORDS)
    yield Reader("triples", "t.tsv", triples, (b"1 2 3\n2\t3\t1\n", b"1 2 3 4.5 2\n"),
                 (("texts.tsv", b"1\tone\n2\ttwo\n3\tthree\n"),))
    yield Reader("BEIR folder", "qrels/test.tsv", beir, seeds.QRELS[1:],
                 (("corpus.jsonl", seeds.CORPUS), ("queries.jsonl", seeds.CORPUS)))
    words = ("model_config", "data_config", "trainer_config", "loss_type", "validation")
    yield Reader("configuration", "c.yaml", config, (*seeds.CONFIGS, *seeds.CONFIGS_IN_JSON),
                 words=words)
    given = (b"model_config.loss_type=[a]", b"trainer_config.validation={}")
    yield Reader("--set", "set", override, given, (("given.yaml", seeds.CONFIGS[0]),), words)


def _q_nets() -> Iterable[Reader]:
    index, weights = seeds.q_nets()
    words = ("q_net", "files", "format")
    yield Reader("list of q-nets", index[0], q_nets, index[1:], (weights,), words)
    yield Reader("weights of q-nets", weights[0], q_nets, weights[1:], (index,))
# fmt: on


GROUPS = {"plain": _plain, "vectors": _vectors, "training": _training, "q-nets": _q_nets}


@cache
def readers(group: str | None = None) -> tuple[Reader, ...]:
    """The readers of a group, or all; those of libraries that are not installed are left out."""
    chosen = GROUPS.values() if group is None else [GROUPS[group]]
    return tuple(reader for each in chosen for reader in each())
