"""The command that makes a head for an index of its own texts."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hypserini.index.reader import Index
from hypserini.index.stored_text import StoredTexts
from hypserini.modeling import load_model
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.adapt.__main__ import main
from hypserini.train.adapt.pseudo_queries import pseudo_queries
from hypserini.train.teach.agreement import agreement


def _run(index: Path, output: Path, *flags: str) -> int:
    return main(
        ["--index", str(index), "--output", str(output), "--device", "cpu", "--quiet", *flags]
    )


def test_a_head_is_made_of_the_texts_and_searches_the_index(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--queries", "60", "--epochs", "0.5", "--candidates", "6", "--negatives", "4"]
    assert _run(index, tmp_path / "head", *few) == 0
    assert "The head is in" in capsys.readouterr().out
    head = load_model(tmp_path / "head", device="cpu")
    with LuceneHypencoderSearcher(index, head) as searcher:
        assert len(searcher.search("search graph index", 5)) == 5
        assert head.fingerprint == searcher.metadata.fingerprint
    card = (tmp_path / "head" / "README.md").read_text()
    assert "## Adaptation" in card
    assert "BM25 over" in card
    work = tmp_path / "head" / "adaptation"
    examples = [json.loads(line) for line in (work / "train.jsonl").read_text().splitlines()]
    assert min(len(e["items"]) for e in examples) >= 5
    trained = {e["query"]["content"] for e in examples}
    held_out = {line.split("\t")[1] for line in (work / "test.topics.tsv").read_text().splitlines()}
    assert held_out
    assert not held_out & trained
    assert _run(index, tmp_path / "head", *few) == 2
    assert "is there and not empty" in capsys.readouterr().err


def test_given_pairs_train_a_query_encoder_or_nested_heads_and_hold_out_the_same(
    index: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    with closing(Index(index)) as opened:
        texts = StoredTexts(opened)
        docids = list(opened.docids())[:60]
        made = list(pseudo_queries(texts, docids, 60, random.Random(2)))
    lines = ({"query": {"content": q.text}, "items": [{"id": q.docid}]} for q in made)
    pairs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    few = ["--pairs", str(pairs), "--epochs", "0.5", "--candidates", "6", "--negatives", "4"]
    few += ["--cross-entropy", "0.5"]
    assert _run(index, tmp_path / "dot", *few, "--dot-product") == 0
    assert _run(index, tmp_path / "head", *few, "--nested", "1", "--seed", "3") == 0
    assert load_model(tmp_path / "head", device="cpu").nested == [1]
    held_out = [(tmp_path / m / "adaptation/test.topics.tsv").read_text() for m in ("dot", "head")]
    assert held_out[0] == held_out[1] != ""
    with LuceneHypencoderSearcher(index, str(tmp_path / "dot")) as searcher:
        assert len(searcher.search("search graph index", 5)) == 5


def test_pairs_of_other_documents_are_counted(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"query": {"content": "a"}, "items": [{"id": "nowhere"}]}\n')
    assert _run(index, tmp_path / "head", "--pairs", str(pairs)) == 2
    assert "lacks 1 documents that examples name (nowhere)" in capsys.readouterr().err


def test_queries_are_cut_out_of_the_documents(index: Path) -> None:
    with closing(Index(index)) as opened:
        texts, docids = StoredTexts(opened), list(opened.docids())
        made = list(pseudo_queries(texts, docids, 500, random.Random(1)))
        assert len(made) == len({query.text for query in made}) > 400  # of 400 documents
        for query in made:
            assert query.text in " ".join((texts.text(query.docid) or "").split())
        again = list(pseudo_queries(texts, docids, 500, random.Random(1)))
        assert made == again


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--queries", "5"], "only 5 queries can be made, and 20 are needed"),
        (["--queries", "40", "--negatives", "200"], "no query has more than 200 candidates"),
        (["--weights", "1"], "2 teachers and 1 weights"),
        (["--nested", "0", "2"], "fewer blocks than the q-net's 2, and 2 is not"),
    ],
)
def test_what_cannot_be_done_is_said(
    flags: list[str],
    message: str,
    index: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(index, tmp_path / "head", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "head").exists()


def test_agreement_is_rank_correlation_and_overlap() -> None:
    examples = [{"items": [{}] * 4}, {"items": [{}] * 4}, {"items": [{}]}]
    teacher = np.array([4, 3, 2, 1, 4, 3, 2, 1, 0], np.float32)
    student = np.array([9, 8, 7, 6, 1, 2, 3, 4, 0], np.float32)
    assert agreement(examples, teacher, teacher) == (1.0, 1.0)
    assert agreement(examples, teacher, student) == (0.0, 0.5)
    assert agreement(examples[:1], teacher[:4], student[:4]) == (1.0, 1.0)
