"""What a score is said to be made of adds up, and names the words that make it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import make_documents, write_jsonl

from hypserini import LuceneHypencoderSearcher
from hypserini.errors import IndexingError
from hypserini.index.__main__ import main as build
from hypserini.search.__main__ import main as search
from hypserini.search.explain import Word, Words

DOCS = 40


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the bundled model."""
    folder = tmp_path_factory.mktemp("explained")
    collection = write_jsonl(folder / "corpus.jsonl", make_documents(DOCS))
    assert (
        build(["--collection", str(collection), "--index", str(folder / "index"), "--quiet"]) == 0
    )
    return folder / "index"


@pytest.fixture
def searcher(explained: Path) -> Iterator[LuceneHypencoderSearcher]:
    with LuceneHypencoderSearcher(explained, device="cpu") as searcher:
        yield searcher


def total(words: Words) -> float:
    return words.baseline + sum(word.value for word in words.words)


def test_the_parts_add_up_to_the_score(searcher, topics) -> None:
    for query in list(topics.values())[:4]:
        for hit in searcher.search(query, 2):
            found = searcher.explain(query, hit.docid)
            assert found.score == pytest.approx(hit.score, abs=1e-4)
            assert found.linear + found.bent == pytest.approx(found.score)
            for words in (found.document_words, found.query_words):
                assert total(words) == pytest.approx(found.score, rel=0.01)
            assert [word.text for word in found.query_words.words] == query.split()
            text = searcher.contents(hit.docid)
            assert [word.text for word in found.document_words.words] == text.split()


def test_words_that_raise_a_score_are_missed_more_than_others(searcher, topics) -> None:
    generator = random.Random(0)
    lost = {"strongest": 0.0, "random": 0.0}
    for query in list(topics.values())[:6]:
        q_net = searcher.encoder.encode([query])
        for hit in searcher.search(query, 3):
            words = searcher.contents(hit.docid).split()
            found = searcher.explain(query, hit.docid).document_words
            strongest = {word.text for word in found.strongest(3)}
            others = set(generator.sample(sorted(set(words)), len(strongest)))
            for name, left_out in (("strongest", strongest), ("random", others)):
                text = " ".join(word for word in words if word not in left_out)
                [row] = _encode(searcher, [text])
                lost[name] += hit.score - float(q_net.score(row[None])[0, 0])
    assert lost["strongest"] > 2 * max(0.0, lost["random"])


def _encode(searcher: LuceneHypencoderSearcher, texts: list[str]) -> torch.Tensor:
    from hypserini.encode import DocumentEncoder

    return torch.from_numpy(DocumentEncoder(searcher.encoder.model).encode(texts))


def test_a_q_net_has_no_words_and_a_document_without_text_none(searcher, tmp_path) -> None:
    q_net = searcher.encoder.encode(["graph walk"])
    found = searcher.explain(q_net, "doc0001")
    assert found.query_words is None
    assert found.document_words is not None
    with pytest.raises(IndexingError, match="no vector of document nowhere"):
        searcher.explain("graph", "nowhere")


def test_equal_words_count_together() -> None:
    words = Words(0.0, [Word("a", 1.0), Word("b", 1.5), Word("A", 1.0), Word("c", -1.0)], 0.0)
    assert words.strongest(1) == [Word("a", 2.0)]
    assert words.strongest(5, lowering=True) == [Word("c", -1.0)]


def test_the_command_explains_each_hit(explained: Path, capsys) -> None:
    flags = ["--index", str(explained), "--query", "graph walk", "--hits", "2", "--explain"]
    assert search([*flags, "--device", "cpu", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert said.count("linear ") == 2
    assert said.count("document: ") == said.count("query: ") == 2
    assert search(["--index", str(explained), "--topics", "dl19", "--explain"]) == 2
    assert "--explain belongs to --query" in capsys.readouterr().err


def test_others_may_search_meanwhile(searcher) -> None:
    wanted = [(hit.docid, hit.score) for hit in searcher.search("graph walk", 5)]
    ended = threading.Event()
    found: list[list[tuple[str, float]]] = []

    def search_again() -> None:
        while not ended.is_set():
            found.append([(hit.docid, hit.score) for hit in searcher.search("graph walk", 5)])

    other = threading.Thread(target=search_again)
    other.start()
    explained = [searcher.explain("graph walk", wanted[0][0]) for _ in range(3)]
    ended.set()
    other.join()
    assert all(one == wanted for one in found)
    assert all(total(one.document_words) == pytest.approx(one.score, rel=0.01) for one in explained)


def test_what_is_explained_is_what_was_encoded(
    index: Path, nested_model: Path, collection: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with LuceneHypencoderSearcher(index, str(nested_model), device="cpu", q_net_size=1) as small:
        found = small.explain("graph walk", "doc0001")
        assert total(found.query_words) == pytest.approx(found.score, rel=0.01, abs=0.01)
    short = ["--collection", str(collection), "--model", str(tiny_model), "--max-length", "8"]
    assert build([*short, "--index", str(tmp_path / "short"), "--quiet"]) == 0
    with LuceneHypencoderSearcher(tmp_path / "short", device="cpu") as searcher:
        found = searcher.explain("graph walk", "doc0001")
        assert len(found.document_words.words) <= 6  # between two special tokens
        assert total(found.document_words) == pytest.approx(found.score, rel=0.01, abs=0.01)
