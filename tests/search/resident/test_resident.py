"""A dense field that is kept on devices: every search finds what it finds over Lucene's blocks."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import simulated
import torch
from conftest import make_documents, write_jsonl
from processes import run
from rankings import assert_same_ranking

from hypserini import LuceneHypencoderSearcher
from hypserini.defaults import BUNDLED_MODEL
from hypserini.errors import ModelError
from hypserini.formats.runs import read_run
from hypserini.index.__main__ import main as build
from hypserini.index.writer import IndexWriter
from hypserini.jvm import jar
from hypserini.modeling import QNet, devices
from hypserini.search.__main__ import main as search
from hypserini.search.modes import exhaustive
from hypserini.search.modes.exhaustive import ExhaustiveOptions
from hypserini.search.modes.first_stage import GivenRankings
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.rerank import RerankOptions
from hypserini.search.modes.tangent import TangentOptions
from hypserini.search.ranking import Hits
from hypserini.search.resident import choice
from hypserini.search.resident.residence import Residence

DOCS, DELETED, K = 1600, 200, 10
TANGENT = TangentOptions(fetch=256, ef=600, rounds=5)
NEAR = {"bf16": 2e-3, "fp16": 3e-4}
"""How far the scores of narrow vectors, multiplied in float32, are from those of the vectors."""
DEVICE = simulated.wanted("cpu")
TWO_DEVICES = "two devices"
WAYS = ["one device", TWO_DEVICES, "no room"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the bundled model, of several segments, in which some documents are deleted."""
    folder = tmp_path_factory.mktemp("resident")
    documents = make_documents(DOCS)
    parts = []
    for number in range(3):
        collection = write_jsonl(folder / f"{number}.jsonl", documents[number::3])
        parts.append(str(folder / f"part{number}"))
        assert build(["--collection", str(collection), "--index", parts[-1], "--quiet"]) == 0
    assert build(["--merge", *parts, "--index", str(folder / "index"), "--quiet"]) == 0
    with IndexWriter(folder / "index", dimension=256, append=True) as writer:
        writer.delete([one["id"] for one in random.Random(1).sample(documents, DELETED)])
    return folder / "index"


@pytest.fixture
def lucene(index: Path) -> Iterator[LuceneHypencoderSearcher]:
    """The searcher that reads the index block by block."""
    with LuceneHypencoderSearcher(index, device="cpu") as searcher:
        yield searcher


def two_devices(device: torch.device) -> list[torch.device]:
    """Two of a kind; of the CPU, which is one alone, the same twice."""
    if device.type == "cpu":
        return [device, device]
    return [torch.device(device.type, number) for number in range(2)]


@pytest.fixture(params=WAYS)
def resident(request, index: Path, monkeypatch) -> Iterator[LuceneHypencoderSearcher]:
    """One whose field lies on one or two devices, or has no room there."""
    if request.param == TWO_DEVICES:
        monkeypatch.setattr(choice, "devices_like", two_devices)
    memory = 1000 if request.param == "no room" else None
    with LuceneHypencoderSearcher(
        index, device=DEVICE, residence=Residence(True, memory=memory)
    ) as searcher:
        yield searcher


def assert_same(found: dict[str, Hits], wanted: dict[str, Hits]) -> None:
    for qid, hits in wanted.items():
        assert_same_ranking(found[qid], hits)
        assert found[qid].cost.evaluations == hits.cost.evaluations


@pytest.mark.parametrize("k", [1, K, 1000, 10 * DOCS])
def test_exhaustive_search(resident, lucene, topics, k: int) -> None:
    queries, qids = list(topics.values()), list(topics)
    how = {"k": k, "mode": "exhaustive"}
    found = resident.batch_search(queries, qids, **how)
    assert_same(found, lucene.batch_search(queries, qids, **how))
    assert len(found[qids[0]]) == min(k, DOCS - DELETED)


@pytest.mark.parametrize("let_through", [0, 1, K - 1, 500, DOCS - DELETED - 1])
@pytest.mark.parametrize("mode", ["exhaustive", "tangent"])
def test_filters(resident, lucene, topics, mode: str, let_through: int) -> None:
    queries, qids = list(topics.values())[:3], list(topics)[:3]
    docids = random.Random(2).sample(list(lucene.index.docids()), let_through)
    how = {"k": K, "mode": mode, "filter": docids}
    if mode == "tangent":
        how["options"] = TANGENT
    found = resident.batch_search(queries, qids, **how)
    wanted = lucene.batch_search(queries, qids, **how)
    for qid, hits in wanted.items():
        assert_same_ranking(found[qid], hits)
        assert len(found[qid]) == min(K, let_through)


def test_tangent_search(resident, lucene, topics) -> None:
    queries, qids = list(topics.values()), list(topics)
    exact = lucene.batch_search(queries, qids, K, mode="exhaustive")
    found = resident.batch_search(queries, qids, K, mode="tangent")
    for qid in qids:
        assert found[qid].cost.evaluations < DOCS / 2
        assert found[qid].cost.mode == "tangent"
    same = [len({h.docid for h in found[q]} & {h.docid for h in exact[q]}) for q in qids]
    assert sum(same) >= 0.98 * K * len(qids)


@pytest.mark.parametrize("options", [TangentOptions(fetch=4), TangentOptions(max_scored=200)])
def test_a_batch_finds_what_its_queries_find_alone(resident, topics, options) -> None:
    queries, qids = list(topics.values()), list(topics)
    how = {"k": K, "mode": "tangent", "options": options}
    together = resident.batch_search(queries, qids, **how)
    assert len({hits.cost.rounds for hits in together.values()}) > 1 or options.max_scored
    for qid, query in topics.items():
        alone = resident.search(query, **how)
        assert_same_ranking(together[qid], alone)
        assert together[qid].cost.evaluations == alone.cost.evaluations


@pytest.mark.parametrize("let_through", [60, 100])
def test_a_filter_that_ends_a_tangent_search(resident, lucene, topics, let_through: int) -> None:
    docids = random.Random(2).sample(list(lucene.index.docids()), let_through)
    options = TangentOptions(fetch=16, rounds=99, stable=-1)  # 48 and 48 are expected
    how = {"k": 2 * let_through, "filter": docids}
    for query in topics.values():
        found = resident.search(query, mode="tangent", options=options, **how)
        assert_same_ranking(found, lucene.search(query, mode="exhaustive", **how))


def test_reranking(resident, lucene, topics) -> None:
    queries, qids = list(topics.values()), list(topics)
    docids = [*random.Random(3).sample(list(lucene.index.docids()), 130), "not there"]
    given = dict.fromkeys(qids, docids)
    found, wanted = (one.batch_rerank(queries, qids, given) for one in (resident, lucene))
    assert_same(found, wanted)
    assert found[qids[0]].missing == wanted[qids[0]].missing == ["not there"]


@pytest.mark.parametrize("filtered", [False, True], ids=["all", "filtered"])
@pytest.mark.parametrize("entry", ["random", "layer", "bm25", "tangent"])
def test_the_walk_over_the_graph(resident, lucene, topics, entry: str, filtered: bool) -> None:
    queries, qids = list(topics.values())[:4], list(topics)[:4]
    half = random.Random(4).sample(list(lucene.index.docids()), DOCS // 2)
    options = GraphOptions(entry, num_entry_points=40, ncandidates=8, max_iter=6, max_scored=500)
    how = {"mode": "graph", "options": options, "filter": half if filtered else None}
    assert_same(
        resident.batch_search(queries, qids, K, **how), lucene.batch_search(queries, qids, K, **how)
    )


@pytest.mark.skipif(
    jar.lucene_line(jar.anserini_jar()) == 10, reason="Lucene 10 makes no graph for so few"
)
def test_adaptive_reranking(resident, lucene, topics) -> None:
    queries, qids = list(topics.values())[:4], list(topics)[:4]
    docids = random.Random(5).sample(list(lucene.index.docids()), 60)
    stage = GivenRankings({qid: [*docids, "not there"] for qid in qids})
    options = RerankOptions(stage, adaptive=True, budget=100)
    how = {"mode": "rerank", "options": options}
    found, wanted = (one.batch_search(queries, qids, 200, **how) for one in (resident, lucene))
    assert_same(found, wanted)
    assert {len(hits) for hits in found.values()} != {len(docids) + 1}


@pytest.mark.parametrize("let_through", [None, 0, 1, 700])
@pytest.mark.parametrize("k", [1, 100, 10 * DOCS])
def test_a_field_that_is_streamed(
    index: Path, lucene, topics, monkeypatch, k: int, let_through: int | None
) -> None:
    queries, qids = list(topics.values())[:3], list(topics)[:3]
    filter = None
    if let_through is not None:
        filter = random.Random(6).sample(list(lucene.index.docids()), let_through)
    options = ExhaustiveOptions(block=100)  # less than a segment has
    how = {"k": k, "mode": "exhaustive", "options": options, "filter": filter}
    wanted = lucene.batch_search(queries, qids, **how)
    monkeypatch.setattr(exhaustive, "is_streamed", lambda device: True)
    assert_same(lucene.batch_search(queries, qids, **how), wanted)


def test_the_command_fuses_collapses_and_says_what_is_kept(
    index: Path, topics_file: Path, tmp_path: Path, caplog
) -> None:
    runs = []
    caplog.set_level(logging.INFO)
    for how in ("--resident", "--no-resident"):
        output = tmp_path / f"run{how}.txt"
        flags = ["--index", index, "--topics", topics_file, "--output", output, how]
        assert search([*map(str, flags), "--hybrid", "rrf", "--device", "cpu"]) == 0
        runs.append(read_run(output))
    for qid, hits in runs[1].items():
        assert_same_ranking(runs[0][qid], hits)
    assert "the dense field is kept on cpu" in caplog.text


def test_a_field_without_room_says_so(index: Path, topics, caplog) -> None:
    caplog.set_level(logging.INFO)
    tight = Residence(True, memory=1000)
    with LuceneHypencoderSearcher(index, device="cpu", residence=tight) as searcher:
        assert len(searcher.search(next(iter(topics.values())))) == K
    assert "block by block" in caplog.text


def test_flags_that_say_how_a_field_is_kept_need_one(index: Path, topics_file, capsys) -> None:
    flags = ["--index", str(index), "--topics", str(topics_file), "--no-resident"]
    assert search([*flags, "--resident-format", "bf16"]) == 2
    assert "--resident-format belongs to" in capsys.readouterr().err


@pytest.mark.parametrize("format", ["bf16", "fp16"])
@pytest.mark.parametrize("fast", [True, False])
def test_narrow_formats_find_what_float32_finds(
    index: Path, lucene, topics, format: str, fast: bool, monkeypatch
) -> None:
    def multiplies_fast(dtype: torch.dtype, device: torch.device) -> bool:
        return fast or dtype is torch.float32

    monkeypatch.setattr(devices, "multiplies_fast", multiplies_fast)
    queries, qids = list(topics.values()), list(topics)
    exact = lucene.batch_search(queries, qids, K, mode="exhaustive")
    half = Residence(True, format)
    with LuceneHypencoderSearcher(
        index, BUNDLED_MODEL, device="cpu", residence=half, mode="exhaustive"
    ) as searcher:
        found = searcher.batch_search(queries, qids, K)
    same = [len({h.docid for h in found[q]} & {h.docid for h in exact[q]}) for q in qids]
    assert sum(same) >= 0.97 * K * len(qids)
    # Where narrow numbers are not multiplied fast, float32 is: its scores are nearer to the exact.
    apart = [abs(hits[0].score / exact[qid][0].score - 1) for qid, hits in found.items()]
    assert (max(apart) < NEAR[format]) is not fast


def test_a_score_that_is_no_number_is_an_error(index: Path, topics, monkeypatch) -> None:
    with LuceneHypencoderSearcher(index, device="cpu", residence=True) as searcher:
        q_net = searcher.encoder.encode([next(iter(topics.values()))])

        def broken(self: QNet, block: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
            return out.fill_(torch.nan)

        monkeypatch.setattr(QNet, "score", broken)
        with pytest.raises(ModelError, match=r"document doc\d+ for query number 1"):
            searcher.search(q_net, mode="exhaustive")


def test_closing_gives_the_memory_back(index: Path, topics) -> None:
    searcher = LuceneHypencoderSearcher(index, device="cpu", residence=True)
    searcher.search(next(iter(topics.values())))
    field = searcher._field
    assert field is not None
    searcher.close()
    assert field.parts == []


LEAVES = """
import sys
from pathlib import Path
from hypserini import LuceneHypencoderSearcher
from hypserini.search.modes import exhaustive
for residence in (True, False):
    exhaustive.is_streamed = lambda device: True
    with LuceneHypencoderSearcher(sys.argv[1], device="cpu", residence=residence) as searcher:
        assert len(searcher.search("graph walk", mode="exhaustive")) == 10
from hypserini import jvm
threads = jvm.java_class("java.lang.Thread").getAllStackTraces().keySet().toArray()
print(sum(thread.getName().startswith("Thread-") for thread in threads))
"""


def test_threads_that_read_leave_java(index: Path) -> None:
    done = run(LEAVES, index)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]
