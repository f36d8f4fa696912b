"""`python -m hypserini.train.mine`: what is drawn, what is never drawn, and what is said."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import WORDS, make_documents, write_jsonl
from rankings import scores_like

from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.search.bm25 import Bm25
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.mine.__main__ import main

DOCUMENTS = {document["id"]: document["contents"] for document in make_documents(400)}
COUNT = 12


def mine(*arguments: object) -> int:
    try:
        return main([*map(str, arguments), "--quiet", "--device", "cpu"])
    except SystemExit as left:  # what argparse refuses
        return int(left.code or 0)


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert mine(*arguments) == 2
    [*_, error] = capsys.readouterr().err.strip().splitlines()
    assert ": error: " in error
    return error


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def example(number: int, **changes: Any) -> dict[str, Any]:
    """A query of some words of a document, which is the positive, and an old negative."""
    docid = f"doc{number:04}"
    query = {"id": str(number), "content": " ".join(DOCUMENTS[docid].split()[:4])}
    positive = {"id": docid, "content": DOCUMENTS[docid], "score": 3.0, "type": "positive"}
    negative = {"id": "old", "content": f"old negative {number}", "type": "old"}
    return {"query": query, "items": [positive, negative]} | changes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "train.jsonl", [example(n) for n in range(COUNT)])


def new_items(one: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item for item in one["items"] if item["type"] == kind]


def test_negatives_come_from_the_hits_with_their_texts(
    tmp_path: Path, index: Path, data: Path
) -> None:
    output = tmp_path / "deep" / "mined.jsonl"
    arguments = ("--index", index, "--input", data, "--output", output)
    assert mine(*arguments, "--negatives", 5, "--depth", 20, "--skip-top", 3) == 0
    mined = read(output)
    assert len(mined) == COUNT
    with Bm25(index) as bm25:
        for number, one in enumerate(mined):
            assert one["query"] == example(number)["query"]
            assert one["items"][:2] == example(number)["items"]
            negatives = one["items"][2:]
            assert len({item["id"] for item in negatives}) == len(negatives) == 5
            hits = [hit.docid for hit in bm25.search(one["query"]["content"], 20)]
            assert {item["id"] for item in negatives} <= set(hits[3:]) - {f"doc{number:04}"}
            for item in negatives:
                content = DOCUMENTS[item["id"]]
                assert item == {"id": item["id"], "content": content, "type": "bm25_negative"}


def test_the_draw_depends_on_the_seed_and_not_on_how_it_is_batched(
    tmp_path: Path, index: Path, data: Path
) -> None:
    def drawn(*arguments: object) -> bytes:
        output = tmp_path / "mined.jsonl"
        base = ("--index", index, "--input", data, "--output", output)
        assert mine(*base, "--mode", "exhaustive", *arguments) == 0
        return output.read_bytes()

    assert drawn() == drawn("--batch-size", 3) == drawn("--batch-size", 2, "--threads", 2)
    assert drawn("--seed", 1) != drawn("--seed", 2)


def test_how_many_are_searched_at_once_changes_nothing(index: Path, data: Path) -> None:
    from hypserini.train.mine.finders import Bm25Finder
    from hypserini.train.mine.hard_negatives import Miner
    from hypserini.train.mine.tasks import ExampleTasks

    finder = Bm25Finder(index)
    try:
        drawn = [
            list(Miner(finder, at_once=at_once).mine(ExampleTasks(data))) for at_once in (1, 5, 64)
        ]
    finally:
        finder.close()
    assert drawn[0] == drawn[1] == drawn[2]


def test_margin_and_ratio_leave_out_what_scores_like_the_positive(
    tmp_path: Path, index: Path, data: Path
) -> None:
    output = tmp_path / "mined.jsonl"
    base = ("--index", index, "--input", data, "--output", output, "--keep-scores")
    deep = ("--depth", 400, "--negatives", 100)
    some = 0
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        # The scores of random q-nets lie close together.
        spread = searcher.search(example(0)["query"]["content"], 400, mode="exhaustive")
        margin = (spread[0].score - spread[-1].score) / 10
        assert mine(*base, *deep, "--mode", "exhaustive", "--margin", margin) == 0
        for number, one in enumerate(read(output)):
            docid = f"doc{number:04}"
            ranking = searcher.search(one["query"]["content"], 400, mode="exhaustive")
            scores = {hit.docid: hit.score for hit in ranking}
            allowed = {d for d, score in scores.items() if score <= scores[docid] - margin}
            negatives = new_items(one, "mined_negative")
            found = {item["id"]: item["searcher_score"] for item in negatives}
            assert set(found) <= allowed
            assert len(found) == min(100, len(allowed))
            assert found == scores_like({d: scores[d] for d in found}, scores.values())
            some += bool(found)
    assert some

    assert mine(*base, *deep, "--max-score-ratio", 0.8) == 0
    with Bm25(index) as bm25:
        for number, one in enumerate(read(output)):
            scores = {hit.docid: hit.score for hit in bm25.search(one["query"]["content"], 400)}
            negatives = new_items(one, "bm25_negative")
            assert negatives
            for item in negatives:
                assert item["searcher_score"] <= 0.8 * scores[f"doc{number:04}"]


def test_a_positive_below_the_depth_is_scored_or_all_hits_are_above_it(
    tmp_path: Path, index: Path
) -> None:
    # The words of one document with another as the positive: most hits score above it.
    far = example(0)
    far["items"] = [{"id": "doc0300", "content": DOCUMENTS["doc0300"]}]
    data = write_jsonl(tmp_path / "train.jsonl", [far])
    output = tmp_path / "mined.jsonl"
    base = ("--index", index, "--input", data, "--output", output, "--margin", 0)
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        ranking = searcher.search(far["query"]["content"], 400, mode="exhaustive")
    rank = [hit.docid for hit in ranking].index("doc0300")
    depth = ("--mode", "exhaustive", "--negatives", 1, "--depth")
    assert mine(*base, *depth, rank) == 0
    assert len(read(output)[0]["items"]) == 1
    assert mine(*base, *depth, rank + 2) == 0
    assert read(output)[0]["items"][1]["id"] == ranking[rank + 1].docid
    assert mine(*base, "--negatives", 1, "--depth", 3) == 0
    assert len(read(output)[0]["items"]) == 1


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A small index of titles and texts, in which documents repeat each other."""
    texts = {
        "a": ("Graph", "walk beam search"),
        "b": ("graph", "WALK  beam\nsearch"),
        "c": ("graph", "walk depth tree"),
        "d": ("Graph", "walk depth tree"),
        "e": ("graph", "node edge path"),
        "f": ("", "memory page disk cache"),
    }
    folder = tmp_path_factory.mktemp("beir")
    documents = [{"_id": k, "title": t, "text": x} for k, (t, x) in texts.items()]
    corpus = write_jsonl(folder / "corpus.jsonl", documents)
    build_index(corpus, folder / "index", str(tiny_model), progress=False)
    return folder / "index"


def test_copies_of_a_positive_and_of_each_other_are_not_drawn(tmp_path: Path, beir: Path) -> None:
    query = {"id": "e", "content": "graph walk"}
    one = {"query": query, "items": [{"content": "graph walk beam search"}]}
    data = write_jsonl(tmp_path / "train.jsonl", [one])
    output = tmp_path / "mined.jsonl"
    base = ("--index", beir, "--input", data, "--output", output)
    for seed in range(4):
        assert mine(*base, "--negatives", 2, "--seed", seed) == 0
        [positive, *negatives] = read(output)[0]["items"]
        assert positive["type"] == "positive"
        assert len({"c", "d"} & {item["id"] for item in negatives}) == 1
        assert {item["content"].lower() for item in negatives} == {
            "graph walk depth tree",
            "graph node edge path",
        }
    assert mine(*base, "--negatives", 2, "--remove-query") == 0
    assert {item["id"] for item in read(output)[0]["items"][1:]} < {"c", "d"}


def test_too_few(
    tmp_path: Path,
    beir: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    rare = {"query": {"content": "memory disk"}, "items": [{"id": "f", "content": "memory"}]}
    often = {"query": {"content": "graph walk"}, "items": [{"id": "a", "content": "a thing"}]}
    data = write_jsonl(tmp_path / "train.jsonl", [rare, often])
    output = tmp_path / "mined.jsonl"
    base = ("--index", beir, "--input", data, "--output", output, "--negatives", 2)
    assert mine(*base) == 0
    assert "fewer than 2 negatives among the hits, kept with fewer: 1" in caplog.text
    assert [len(one["items"]) for one in read(output)] == [1, 3]
    assert mine(*base, "--too-few", "drop") == 0
    assert [one["query"]["content"] for one in read(output)] == ["graph walk"]
    assert mine(*base, "--too-few", "random") == 0
    filled = read(output)[0]["items"]
    assert [item["type"] for item in filled] == ["positive", *["random_negative"] * 2]
    assert len({item["content"].lower() for item in filled}) == 3
    assert "f" not in {item["id"] for item in filled[1:]}
    output.unlink()
    write_jsonl(data, [rare])
    assert "--too-few keep" in failure(capsys, *base, "--too-few", "drop")
    assert not output.exists()


def test_fields_that_were_encoded_make_the_text(
    tmp_path: Path, tiny_model: Path, index: Path
) -> None:
    documents = [
        {"id": f"d{n}", "head": f"graph {word}", "contents": "no", "body": "walk"}
        for n, word in enumerate(("tree", "node", "edge"))
    ]
    corpus = write_jsonl(tmp_path / "corpus.jsonl", documents)
    options = IndexOptions(fields=("head", "body"))
    build_index(corpus, tmp_path / "index", str(tiny_model), options, progress=False)
    data = tmp_path / "train.jsonl.gz"
    one = {"query": {"content": "graph"}, "items": [{"id": "d0", "content": "graph tree walk"}]}
    data.write_bytes(gzip.compress(json.dumps(one).encode()))
    output = tmp_path / "mined.jsonl"
    assert mine("--index", tmp_path / "index", "--input", data, "--output", output) == 0
    contents = {item["content"] for item in read(output)[0]["items"]}
    assert contents == {"graph tree walk", "graph node walk", "graph edge walk"}


def test_positives_by_type_and_a_second_round(tmp_path: Path, index: Path, data: Path) -> None:
    items = [
        {"id": "doc0001", "content": DOCUMENTS["doc0001"], "type": "seen"},
        {"id": "doc0002", "content": DOCUMENTS["doc0002"], "type": "gold"},
        {"id": "doc0003", "content": DOCUMENTS["doc0003"], "type": "gold"},
    ]
    write_jsonl(data, [example(0, items=items, extra={"kept": 1})])
    output = tmp_path / "mined.jsonl"
    base = ("--index", index, "--input", data, "--output", output, "--depth", 400)
    base += ("--mode", "exhaustive", "--negatives", 397)
    by_type = ("--positive-filter-type", "type", "--positive-type", "gold")
    assert mine(*base, *by_type) == 0
    [one] = read(output)
    assert one["items"][:3] == items
    assert one["extra"] == {"kept": 1}
    assert len(one["items"]) == 400
    assert len({item["id"] for item in one["items"]}) == 400
    assert mine(*base, *by_type, "--replace") == 0
    [one] = read(output)
    assert one["items"][:2] == items[1:]
    assert "doc0001" in {item["id"] for item in new_items(one, "mined_negative")}


@pytest.mark.parametrize("positive_filter", ["first", "type"])
def test_training_reads_what_was_mined(
    tmp_path: Path, index: Path, data: Path, positive_filter: str
) -> None:
    from hypserini.train.data.opening import training_data
    from hypserini.train.data.section import DataSection

    output = tmp_path / "mined.jsonl.gz"
    assert mine("--index", index, "--input", data, "--output", output, "--negatives", 6) == 0
    section = DataSection(
        training_data_jsonl=str(output),
        positive_filter_type=positive_filter,
        num_negatives_to_sample=7,
    )
    examples = training_data(section, labels=False, seed=0, source="a test")
    assert len(examples) == COUNT
    for number in range(COUNT):
        drawn = examples[number].items
        assert drawn[0].content == DOCUMENTS[f"doc{number:04}"]
        assert len({item.content for item in drawn}) == 8


def test_topics_and_qrels_give_an_example_for_each_relevant_document(
    tmp_path: Path, index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tgraph walk beam\n2\tmemory page\n3\tunjudged\n4\tneural\n")
    qrels = tmp_path / "qrels.txt"
    qrels.write_text(
        "1 0 doc0010 2\n1 0 doc0011 2\n1 0 doc0012 1\n1 0 gone 2\n2 0 doc0013 3\n2 0 doc0014 0\n"
        "4 0 doc0015 1\n"
    )
    output = tmp_path / "mined.jsonl"
    base = ("--index", index, "--topics", topics, "--qrels", qrels, "--output", output)
    deep = ("--mode", "exhaustive", "--depth", 400, "--negatives", 390)
    assert mine(*base, *deep, "--min-grade", 2) == 0
    assert "relevant documents that the index lacks: 1" in caplog.text
    assert "topics without a relevant document in the index: 2" in caplog.text
    mined = read(output)
    assert [(one["query"]["id"], one["items"][0]["id"]) for one in mined] == [
        ("1", "doc0010"),
        ("1", "doc0011"),
        ("2", "doc0013"),
    ]
    for one in mined:
        positive, *negatives = one["items"]
        assert positive["content"] == DOCUMENTS[positive["id"]]
        assert positive["type"] == "positive"
        assert len(negatives) == 390
        drawn = {item["id"] for item in negatives}
        if one["query"]["id"] == "1":
            assert not drawn & {"doc0010", "doc0011", "doc0012"}
    assert mine(*base) == 0
    assert len(read(output)) == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", "malformed JSON"),
        ("[1]", "not a JSON object"),
        ({"items": [{"content": "x"}]}, "query.content is missing"),
        ({"query": {"content": "x"}, "items": []}, "items is missing or empty"),
        ({"query": {"content": "x"}, "items": [{"content": "y"}, {}]}, "items[1].content"),
        ({"query": {"content": "x"}, "items": [{"content": "y", "id": 1.5}]}, "items[0].id"),
        ({"query": {"content": "x"}, "items": [{"content": "y", "type": 1}]}, "items[0].type"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: Any, message: str
) -> None:
    data = tmp_path / "train.jsonl"
    text = line if isinstance(line, str) else json.dumps(line)
    data.write_text(json.dumps(example(0)) + "\n\n" + text + "\n")
    output = tmp_path / "mined.jsonl"
    # The index is not looked at yet: it does not even exist.
    error = failure(capsys, "--index", "nowhere", "--input", data, "--output", output)
    assert f"{data}, line 3: " in error
    assert message in error
    assert list(tmp_path.iterdir()) == [data]


def test_bad_arguments_are_one_sentence(
    tmp_path: Path, index: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mined.jsonl"
    base = ("--index", index, "--output", output)
    given = (*base, "--input", data)
    assert "either --input" in failure(capsys, *base)
    assert "belong together" in failure(capsys, *base, "--topics", data)
    assert "--model" in failure(capsys, *given, "--model", "x")
    assert "--k1" in failure(capsys, *given, "--mode", "auto", "--k1", 1)
    assert "hits 96 to 100" in failure(capsys, *given, "--skip-top", 95)
    assert "--margin: nan is not a number" in failure(capsys, *given, "--margin", "nan")
    assert "nowhere" in failure(capsys, "--index", "nowhere", *given[2:])
    missing = tmp_path / "missing.jsonl"
    assert str(missing) in failure(capsys, *base, "--input", missing)
    error = failure(capsys, *given, "--positive-filter-type", "type", "--positive-type", "gold")
    assert f'{data}, line 1: no item has the type "gold"' in error
    missing.write_text("\n")
    assert "is empty" in failure(capsys, *base, "--input", missing)
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tgraph\n")
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("1 0 gone 1\n")
    error = failure(capsys, *base, "--topics", topics, "--qrels", qrels)
    assert str(index) in error
    assert not output.exists()


def test_a_ratio_of_a_negative_score_is_refused(
    tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        found = searcher.batch_search(WORDS, WORDS, 400, mode="exhaustive")
    word, last = min(((word, hits[-1]) for word, hits in found.items()), key=lambda x: x[1].score)
    assert last.score < 0
    items = [{"id": last.docid, "content": DOCUMENTS[last.docid]}]
    data = write_jsonl(tmp_path / "train.jsonl", [{"query": {"content": word}, "items": items}])
    base = ("--index", index, "--input", data, "--output", tmp_path / "mined.jsonl")
    error = failure(capsys, *base, "--mode", "exhaustive", "--max-score-ratio", 0.9)
    assert f"{data}, line 1: the positive scores -" in error
    assert "--margin" in error


def test_an_index_without_texts_is_refused(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from hypserini.index.writer import IndexWriter

    with IndexWriter(tmp_path / "index", dimension=2) as writer:
        writer.add(["a"], np.ones((1, 2), np.float32), contents=[DOCUMENTS["doc0000"]])
    base = ("--input", data, "--output", tmp_path / "mined.jsonl")
    error = failure(capsys, "--index", tmp_path / "index", *base)
    assert "stores no text of document a" in error


def test_help_loads_neither_torch_nor_java() -> None:
    code = (
        "import sys\nfrom hypserini.train.mine.__main__ import build_parser\n"
        "build_parser().format_help()\n"
        "assert not {'torch', 'jnius', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
