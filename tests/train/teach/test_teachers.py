"""Teachers beside the cross-encoder: SPLADE, an encoder, BM25, a run, and several fused."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_tokenizer, write_jsonl

from hypserini.errors import HypseriniError
from hypserini.search.bm25 import Bm25
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.teach.__main__ import main
from hypserini.train.teach.opening import open_teacher

QUERIES = ["search graph index", "learn neural model"]
DOCIDS = [["doc0003", "doc0001", "doc0399"], ["doc0007", "doc0003"]]
EXAMPLES: list[dict[str, Any]] = [
    {"query": {"id": str(n), "content": query}, "items": [{"id": docid} for docid in docids]}
    for n, (query, docids) in enumerate(zip(QUERIES, DOCIDS, strict=True))
]


@pytest.fixture(scope="module")
def splade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("splade")
    tokenizer = make_tokenizer(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, **sizes)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_bm25_scores_what_it_would_not_have_found(index: Path) -> None:
    scores = open_teacher(["bm25"], index=str(index)).score(EXAMPLES)
    with Bm25(index) as bm25:
        found = [{hit.docid: hit.score for hit in bm25.search(q, 1000)} for q in QUERIES]
    wanted = [found[n].get(docid, 0.0) for n, docids in enumerate(DOCIDS) for docid in docids]
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    assert len(set(wanted)) > 2


def test_an_encoder_scores_the_vectors_of_its_index(index: Path, tiny_model: Path) -> None:
    scores = open_teacher(["encoder"], index=str(index), device="cpu").score(EXAMPLES)
    with LuceneHypencoderSearcher(index, device="cpu", mode="exhaustive") as searcher:
        found = [{h.docid: h.score for h in searcher.search(q, 400)} for q in QUERIES]
    wanted = [found[n][docid] for n, docids in enumerate(DOCIDS) for docid in docids]
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)


def test_a_bi_encoder_encodes_the_texts_itself(index: Path, tiny_model: Path) -> None:
    over_vectors, over_texts = (
        open_teacher([spec], index=str(index), device="cpu")
        for spec in ("encoder", f"bi-encoder={tiny_model}")
    )
    with closing(over_vectors), closing(over_texts):
        wanted = over_vectors.score(EXAMPLES)
        np.testing.assert_allclose(over_texts.score(EXAMPLES), wanted, rtol=1e-4, atol=1e-5)


def test_splade_is_the_inner_product_of_the_words_weights(splade: Path, index: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model, tokenizer = (
        kind.from_pretrained(splade) for kind in (AutoModelForMaskedLM, AutoTokenizer)
    )

    def weights(text: str) -> torch.Tensor:
        with torch.no_grad():
            logits = model.eval()(**tokenizer(text, return_tensors="pt")).logits[0]
        return torch.log1p(torch.relu(logits)).amax(0)

    texts = ["graph search .", "a book", "neural graph model learn"]
    examples = [
        {"query": {"content": q}, "items": [{"content": t} for t in texts]} for q in QUERIES
    ]
    scores = open_teacher([f"splade={splade}"], device="cpu").score(examples)
    wanted = [float(weights(query) @ weights(text)) for query in QUERIES for text in texts]
    np.testing.assert_allclose(scores, wanted, rtol=1e-4)
    by_docid = open_teacher([f"splade={splade}"], index=str(index), device="cpu").score(EXAMPLES)
    assert len(set(by_docid.tolist())) == 5


def test_a_fusion_sums_standardised_scores(index: Path) -> None:
    both = [
        open_teacher([kind], index=str(index), device="cpu").score(EXAMPLES)[:3]
        for kind in ("bm25", "encoder")
    ]
    fused = open_teacher(["bm25", "encoder"], index=str(index), weights=[1, 3], device="cpu")
    standard = [(scores - scores.mean()) / scores.std() for scores in both]
    wanted = standard[0] + 3 * standard[1]
    np.testing.assert_allclose(fused.score(EXAMPLES)[:3], wanted, rtol=1e-3, atol=1e-5)


def test_the_command_scores_docids_by_a_run(tmp_path: Path) -> None:
    lines = [
        f"{n} Q0 {docid} {rank} {10 - rank * rank} x\n"
        for n, docids in enumerate(DOCIDS)
        for rank, docid in enumerate(docids, start=1)
    ]
    (tmp_path / "run.txt").write_text("".join(lines))
    write_jsonl(tmp_path / "in.jsonl", EXAMPLES)
    flags = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    assert main([*flags, "--teacher", f"run={tmp_path / 'run.txt'}", "--quiet"]) == 0
    taught = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [[i["score"] for i in e["items"]] for e in taught] == [[9.0, 6.0, 1.0], [9.0, 6.0]]


def test_students_are_compared_with_the_teacher(
    index: Path,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_jsonl(tmp_path / "in.jsonl", EXAMPLES)
    flags = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    flags += ["--index", str(index), "--teacher", "encoder", "--device", "cpu", "--quiet"]
    assert main([*flags, "--students", str(tiny_model)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1].split() == ["1.000", "1.000", str(tiny_model)]


@pytest.mark.parametrize(
    ("specs", "over", "message"),
    [
        (["mystery=x"], True, "no teacher 'mystery': use one of cross-encoder"),
        (["bm25"], False, "bm25 scores what an index holds: name an --index"),
        (["splade"], False, "splade needs a name: give splade=NAME"),
        (["run=ranks.tsv"], False, "ranks.tsv has ranks and no scores to teach"),
        (["run=short.txt"], False, "short.txt has no score of document doc0001 for the query '0'"),
        (["splade=plain"], False, "plain is no SPLADE, for its checkpoint lacks the weights"),
        (["bm25=other"], True, "the teacher bm25 is of --index: leave ='other' out"),
        (["bm25", "strange"], True, r"lacks 1 documents that examples name \(nowhere\)"),
    ],
)
def test_what_is_wrong_is_said(
    specs: list[str],
    over: bool,
    message: str,
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import BertConfig, BertModel

    monkeypatch.chdir(tmp_path)
    Path("ranks.tsv").write_text("0\tdoc0003\t1\n0\tdoc0001\t2\n")
    Path("short.txt").write_text("0 Q0 doc0003 1 7 x\n")
    if "plain" in specs[0]:
        tokenizer = make_tokenizer(tmp_path / "plain")
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, **sizes)
        BertModel(config).save_pretrained(tmp_path / "plain")
    examples = EXAMPLES
    if "strange" in specs:
        specs = ["bm25"]
        examples = [{"query": {"content": "a"}, "items": [{"id": "nowhere"}]}]
    with pytest.raises(HypseriniError, match=message):
        open_teacher(specs, index=str(index) if over else None, device="cpu").score(examples)
