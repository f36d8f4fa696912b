"""First stages, hybrids and passages in one command, against the parts by themselves."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from rankings import scores_like

from hypserini.formats.runs import read_run, write_run
from hypserini.formats.topics import load_topics
from hypserini.index.build import build_index
from hypserini.index.options import IndexOptions
from hypserini.index.writer import IndexWriter
from hypserini.search.__main__ import main
from hypserini.search.bm25 import Bm25, Bm25Options


@pytest.fixture(scope="module")
def workload(tmp_path_factory, tiny_model, index, collection, topics_file):
    """Index and topics: CACM's first, or the made ones where CACM is not there."""
    if not (SHARED / "cacm").is_dir():
        return index, topics_file
    path = tmp_path_factory.mktemp("indexes") / "cacm"
    options = IndexOptions(max_length=16)
    build_index(SHARED / "cacm/corpus.jsonl", path, str(tiny_model), options, progress=False)
    few = path.with_name("topics.tsv")
    lines = (SHARED / "cacm/topics.tsv").read_text().splitlines(keepends=True)
    few.write_text("".join(lines[:16]))
    return path, few


@pytest.fixture(scope="module")
def runs(tmp_path_factory, workload):
    """Files: BM25's best 1000, the q-nets' best 1000, and all documents by the q-nets."""
    index, topics_file = workload
    folder = tmp_path_factory.mktemp("runs")
    topics = load_topics(topics_file)
    with Bm25(index) as bm25, write_run(folder / "bm25.txt") as writer:
        for qid, hits in bm25.batch_search(topics.texts, topics.qids, 1000).items():
            writer.write(qid, hits)
    exhaustive = ("--mode", "exhaustive")
    assert search(workload, folder / "all.txt", *exhaustive, "--hits", 100_000) == 0
    assert search(workload, folder / "q-net.txt", *exhaustive) == 0
    return folder


def search(workload, output: Path, *arguments: object) -> int:
    base = ["--index", workload[0], "--topics", workload[1], "--output", output]
    return main([*map(str, [*base, *arguments]), "--device", "cpu", "--quiet"])


def assert_reranked(run: Path, bm25: Path, everything: Path) -> None:
    """The documents of one run with the scores of another, in their order."""
    found, given, scores = read_run(run), read_run(bm25), read_run(everything)
    assert set(found) == set(given)
    for qid, hits in found.items():
        assert {docid for docid, _ in hits} == {docid for docid, _ in given[qid]}
        expected = dict(scores[qid])
        assert dict(hits) == scores_like({d: expected[d] for d, _ in hits}, expected.values())
        assert [score for _, score in hits] == sorted((s for _, s in hits), reverse=True)


def test_a_run_is_reranked_with_the_exhaustive_scores(workload, runs, tmp_path) -> None:
    assert search(workload, tmp_path / "run", "--rerank-run", runs / "bm25.txt") == 0
    assert_reranked(tmp_path / "run", runs / "bm25.txt", runs / "all.txt")
    assert search(workload, tmp_path / "same", "--mode", "rerank", "--first-stage", "bm25") == 0
    assert (tmp_path / "same").read_text() == (tmp_path / "run").read_text()


def test_a_depth_of_the_whole_collection_gives_the_exhaustive_ranking(
    workload, runs, tmp_path
) -> None:
    everything = ("--rerank-run", runs / "all.txt", "--rerank-depth", 100_000)
    assert search(workload, tmp_path / "run", *everything, "--hits", 100_000) == 0
    found, expected = read_run(tmp_path / "run"), read_run(runs / "all.txt")
    for qid, hits in found.items():
        assert [s for _, s in hits] == scores_like([s for _, s in expected[qid]])
    assert_reranked(tmp_path / "run", runs / "all.txt", runs / "all.txt")


def test_the_depth_limits_what_is_reranked(workload, runs, tmp_path) -> None:
    shallow = ("--rerank-run", runs / "bm25.txt", "--rerank-depth", 3)
    assert search(workload, tmp_path / "run", *shallow) == 0
    given = read_run(runs / "bm25.txt")
    for qid, hits in read_run(tmp_path / "run").items():
        assert {d for d, _ in hits} == {d for d, _ in given[qid][:3]}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["--hybrid", "rrf"], ["--method", "rrf"]),
        (["--hybrid", "rrf", "--rrf-k", "7"], ["--method", "rrf", "--rrf.k", "7"]),
        (
            ["--hybrid", "interpolate", "--alpha", "0.3"],
            ["--method", "interpolation", "--alpha", "0.3"],
        ),
        (["--hybrid", "average"], ["--method", "average"]),
        (["--hybrid", "normalize"], ["--method", "normalize"]),
    ],
)
def test_hybrids_equal_pyserinis_fusion_of_the_two_runs(
    workload, runs, tmp_path, ours: list[str], theirs: list[str]
) -> None:
    assert search(workload, tmp_path / "ours", *ours, "--mode", "exhaustive") == 0
    command = [sys.executable, "-m", "pyserini.fusion", *theirs, "--output", tmp_path / "theirs"]
    command += ["--runs", runs / "bm25.txt", runs / "q-net.txt"]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    found, expected = read_run(tmp_path / "ours"), read_run(tmp_path / "theirs")
    assert list(found) == load_topics(workload[1]).qids
    assert set(found) == set(expected)
    for qid, hits in found.items():
        assert [docid for docid, _ in hits] == [docid for docid, _ in expected[qid]]
        scores = [score for _, score in expected[qid]]
        assert [score for _, score in hits] == pytest.approx(scores, abs=1.1e-6)


@pytest.mark.parametrize("rm3", [[], ["--rm3"]])
def test_a_filter_holds_for_both_sides_of_a_hybrid(workload, runs, tmp_path, rm3) -> None:
    """Equal to the fusion of both complete runs, each filtered by its docids."""
    index, topics_file = workload
    topics = load_topics(topics_file)
    everything = next(iter(read_run(runs / "all.txt").values()))
    passing = {docid for docid, _ in sorted(everything)[::3]}
    listed = tmp_path / "docids"
    listed.write_text("\n".join(sorted(passing)))
    with write_run(tmp_path / "bm25") as words, Bm25(index, Bm25Options(rm3=bool(rm3))) as bm25:
        for qid, hits in bm25.batch_search(topics.texts, topics.qids, 100_000).items():
            words.write(qid, [hit for hit in hits if hit.docid in passing][:50])
    with write_run(tmp_path / "q-net") as q_net:
        for qid, scored in read_run(runs / "all.txt").items():
            q_net.write(qid, [pair for pair in scored if pair[0] in passing][:50])
    command = [sys.executable, "-m", "pyserini.fusion", "--method", "rrf", "--k", "50"]
    command += ["--depth", "50", "--output", str(tmp_path / "theirs")]
    command += ["--runs", str(tmp_path / "bm25"), str(tmp_path / "q-net")]
    subprocess.run(command, check=True, capture_output=True)
    flags = ("--hybrid", "rrf", "--filter", listed, "--hits", 50, "--mode", "exhaustive", *rm3)
    assert search(workload, tmp_path / "ours", *flags) == 0
    found, expected = read_run(tmp_path / "ours"), read_run(tmp_path / "theirs")
    for qid, hits in found.items():
        assert {docid for docid, _ in hits} <= passing
        assert len(hits) == 50
        scores = [score for _, score in expected[qid]]
        assert [score for _, score in hits] == pytest.approx(scores, abs=1.1e-6)
        # Ties of BM25 that are broken by the sixth digit may fall in another order.
        assert len({d for d, _ in hits} & {d for d, _ in expected[qid]}) >= 49


def test_a_filter_by_a_query_holds_for_bm25_wherever_it_stands(workload, runs, tmp_path) -> None:
    index = workload[0]
    first = next(iter(read_run(runs / "bm25.txt").values()))
    word = "graph" if not (SHARED / "cacm").is_dir() else "algorithm"
    with Bm25(index) as bm25:
        passing = {hit.docid for hit in bm25.search(word, 100_000)}
    assert 0 < len(passing & {docid for docid, _ in first}) < len(first)
    stage = ("--first-stage", "bm25", "--rerank-depth", 20, "--filter", word)
    assert search(workload, tmp_path / "reranked", *stage) == 0
    hybrid = ("--hybrid", "interpolate", "--filter", word, "--hits", 20)
    assert search(workload, tmp_path / "fused", *hybrid) == 0
    for name in ("reranked", "fused"):
        for qid, hits in read_run(tmp_path / name).items():
            assert {docid for docid, _ in hits} <= passing
            matching = [docid for docid, _ in read_run(runs / "bm25.txt")[qid] if docid in passing]
            if name == "reranked":
                assert {docid for docid, _ in hits} >= set(matching[:20])
            else:
                assert len(hits) == 20


def test_normalized_interpolation_is_between_its_ends(workload, runs, tmp_path) -> None:
    base = ("--hybrid", "interpolate", "--normalization", "--hits", 50, "--mode", "exhaustive")
    assert search(workload, tmp_path / "words", *base, "--alpha", 1) == 0
    assert search(workload, tmp_path / "q-net", *base, "--alpha", 0) == 0
    bm25, everything = read_run(runs / "bm25.txt"), read_run(runs / "all.txt")
    for qid, hits in read_run(tmp_path / "words").items():
        top = [score for _, score in bm25[qid][:50]]
        expected = (top[3] - top[-1]) / (top[0] - top[-1])
        assert (hits[0][1], hits[3][1]) == pytest.approx((1.0, expected), abs=1e-6)
    for qid, hits in read_run(tmp_path / "q-net").items():
        assert hits[0] == (everything[qid][0][0], 1.0)


def test_hybrid_of_reranked_hits_and_bm25(workload, runs, tmp_path) -> None:
    assert search(workload, tmp_path / "run", "--first-stage", "bm25", "--hybrid", "rrf") == 0
    given = read_run(runs / "bm25.txt")
    for qid, hits in read_run(tmp_path / "run").items():
        assert {docid for docid, _ in hits} == {docid for docid, _ in given[qid]}


def test_what_the_index_lacks_is_counted_and_comes_last_or_not(
    workload, runs, tmp_path, caplog
) -> None:
    qid, hits = next(iter(read_run(runs / "bm25.txt").items()))
    given = tmp_path / "given.txt"
    with write_run(given) as writer:
        writer.write(qid, [("strange-2", 99.0), *hits[:3], ("strange-1", -1.0)])
        writer.write("no-such-topic", [("x", 1.0)])
    with caplog.at_level(logging.WARNING):
        assert search(workload, tmp_path / "kept", "--rerank-run", given) == 0
        assert search(workload, tmp_path / "dropped", "--rerank-run", given, "--drop-missing") == 0
    kept, dropped = read_run(tmp_path / "kept"), read_run(tmp_path / "dropped")
    assert list(kept) == list(dropped) == [qid]
    assert [docid for docid, _ in kept[qid]][3:] == ["strange-2", "strange-1"]
    assert dropped[qid] == kept[qid][:3]
    said = caplog.text
    assert "2 documents to rerank of 1 topics are not in the index" in said
    assert "they come last" in said
    assert "they were dropped" in said
    assert f"{given}, line 6: topic no-such-topic is not among the topics" in said
    empty = len(load_topics(workload[1])) - 1
    assert f"no documents for {empty} topics" in said
    assert f"{empty} topics have no hits" in said


MALFORMED = {
    "columns": ("1 Q0 d1 1 2.0\n", "line 1: expected `qid Q0 docid"),
    "duplicate": ("1 Q0 d1 1 2.0 t\n1 Q0 d1 2 1.0 t\n", "line 2: document d1 occurs twice"),
    "score": ("1 Q0 d1 1 high t\n", "line 1: the score 'high' is not a number"),
    "unknown": ("\nnobody Q0 d1 1 2.0 t\n", "line 2: none of the run's 1 topics"),
    "empty": ("\n", "is empty"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_run_is_one_sentence_with_file_and_line(
    workload, tmp_path, capsys, kind: str
) -> None:
    text, expected = MALFORMED[kind]
    given = tmp_path / "given.txt"
    given.write_text(text)
    assert search(workload, tmp_path / "run", "--rerank-run", given, "--model", "never/loaded") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(given) in error
    assert expected in error
    assert not (tmp_path / "run").exists()


def test_an_unsorted_run_is_sorted_by_score_and_that_is_said(tmp_path, caplog) -> None:
    (tmp_path / "run").write_text("1 Q0 a 1 1.0 t\n1 Q0 b 2 3.0 t\n1 Q0 c 3 2.0 t\n")
    with caplog.at_level(logging.WARNING):
        assert [docid for docid, _ in read_run(tmp_path / "run")["1"]] == ["b", "c", "a"]
    assert f"{tmp_path / 'run'}, line 2:" in caplog.text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--mode", "rerank"], "--first-stage bm25"),
        (["--rerank-run", "x", "--first-stage", "bm25"], "exclude"),
        (["--rerank-run", "x", "--mode", "exhaustive"], "belongs to --mode rerank"),
        (["--hybrid", "rrf", "--k1", "0.9"], "both --k1 and --b"),
        (["--rerank-run", "nowhere.txt"], "nowhere.txt does not exist"),
    ],
)
def test_flags_that_contradict_each_other(workload, tmp_path, capsys, flags, expected) -> None:
    assert search(workload, tmp_path / "run", *flags) == 2
    assert expected in capsys.readouterr().err


def test_passages_become_documents_by_their_best(tmp_path, tiny_model, capsys) -> None:
    passages = tmp_path / "passages.jsonl"
    texts = {"a#0": "graph", "a#1": "tree heap", "b#0": "walk", "c": "beam", "b#1": "graph walk"}
    lines = [json.dumps({"id": i, "contents": text}) for i, text in texts.items()]
    passages.write_text("\n".join(lines))
    index = tmp_path / "index"
    build_index(passages, index, str(tiny_model), progress=False)
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tgraph walk\n")
    workload = index, topics
    assert search(workload, tmp_path / "passages.txt") == 0
    assert search(workload, tmp_path / "documents.txt", "--max-passage") == 0
    best: dict[str, float] = {}
    for docid, score in read_run(tmp_path / "passages.txt")["1"]:
        best.setdefault(docid.split("#")[0], score)
    assert read_run(tmp_path / "documents.txt")["1"] == list(best.items())
    flags = ("--max-passage", "--max-passage-hits", 2, "--max-passage-delimiter", "x")
    assert search(workload, tmp_path / "two.txt", *flags) == 0
    assert len(read_run(tmp_path / "two.txt")["1"]) == 2
    # A document has the text of the passage that it is ranked by.
    flags = ("--max-passage", "--output-format", "json")
    assert search(workload, tmp_path / "run.json", *flags) == 0
    ranked = [docid for docid, _ in read_run(tmp_path / "passages.txt")["1"]]
    for hit in json.loads((tmp_path / "run.json").read_text())["hits"]:
        passage = next(docid for docid in ranked if docid.split("#")[0] == hit["docid"])
        assert hit["contents"] == texts[passage]
    capsys.readouterr()
    query = ("--index", index, "--query", "graph walk", "--max-passage", "--quiet")
    assert main([*map(str, query), "--device", "cpu"]) == 0
    assert texts[ranked[0]] in capsys.readouterr().out


def test_relevance_feedback_from_term_vectors_and_from_stored_json(tmp_path) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghij", k=5)) for _ in range(200)]
    ids = [f"d{i}" for i in range(300)]
    texts = [" ".join(rng.choices(words, k=8)) for _ in ids]
    raws = [json.dumps({"id": i, "contents": t}) for i, t in zip(ids, texts, strict=True)]
    rankings = []
    for name, term_vectors in (("with", True), ("without", False)):
        path = tmp_path / name
        with IndexWriter(path, dimension=1, vectors="flat", term_vectors=term_vectors) as writer:
            writer.add(ids, np.ones((len(ids), 1), dtype=np.float32), texts, raws)
        with Bm25(path, Bm25Options(rm3=True)) as bm25:
            rankings.append({hit.docid: hit.score for hit in bm25.search(words[0], 300)})
        with Bm25(path) as bm25:
            assert len(rankings[-1]) > len(bm25.search(words[0], 300)) > 0
    assert rankings[0] == pytest.approx(rankings[1])
