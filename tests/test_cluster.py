"""Ray: tasks and objects outlive their processes; real nodes, each a process of its own."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_documents, write_jsonl

from hypserini import LuceneHypencoderSearcher, ShardedHypencoderSearcher
from hypserini.cluster.connection import ClusterOptions, Share, connected, share_of
from hypserini.cluster.crew import AGAIN, AT_ONCE, Crew, Gone, refuse_gone
from hypserini.cluster.signals import fault_handlers_kept
from hypserini.cluster.tasks import run_tasks
from hypserini.errors import ClusterError, IndexingError
from hypserini.formats.runs import read_run
from hypserini.index.__main__ import main as build
from hypserini.index.reader import Index
from hypserini.index.shards import read_shards
from hypserini.search.__main__ import main as search
from hypserini.search.modes.graph import GraphOptions
from hypserini.search.modes.tangent import TangentOptions

pytest.importorskip("ray")

import cluster_work as work

pytestmark = pytest.mark.long

LITTLE = Share(0.1, 0)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of three nodes on this machine; its workers import what the tests import."""
    with work.three_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def ray(nodes: Any) -> Iterator[Any]:
    """The module, connected to the nodes."""
    with connected(nodes.address) as ray:
        yield ray


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, collection: Path, tiny_model: Path) -> Path:
    """The made collection in two shards."""
    index = tmp_path_factory.mktemp("cluster") / "shards"
    assert build(building(index, collection, tiny_model)) == 0
    return index


def building(index: Path, collection: Path, model: Path) -> list[str]:
    """Flags of a build of two shards in which each is committed once before its end."""
    base = ["--collection", str(collection), "--model", str(model), "--index", str(index)]
    return [*base, *"--shards 2 --batch-size 4 --commit-every 0 --device cpu --quiet".split()]


@pytest.fixture(scope="module")
def here(shards: Path) -> Iterator[LuceneHypencoderSearcher]:
    """The shards, searched by this process."""
    with LuceneHypencoderSearcher(shards, device="cpu", batch_size=4) as searcher:
        yield searcher


@pytest.fixture(scope="module")
def there(ray: Any, shards: Path) -> Iterator[ShardedHypencoderSearcher]:
    """The shards, searched by a process each."""
    cluster = ClusterOptions(cpus=0.1)
    with ShardedHypencoderSearcher(shards, device="cpu", batch_size=4, cluster=cluster) as searcher:
        yield searcher


def ranked(found: dict[str, Any]) -> dict[str, list[tuple[str, float]]]:
    """The docids and scores of each query."""
    return {qid: [(hit.docid, hit.score) for hit in hits] for qid, hits in found.items()}


def test_what_java_handles_is_left_to_it():
    """Ray puts its own handlers of faults in place of Java's, which would end at its next one."""
    libc = ctypes.CDLL(None)

    def handler() -> bytes:
        action = ctypes.create_string_buffer(512)
        assert libc.sigaction(signal.SIGFPE, None, action) == 0
        return action.raw[: ctypes.sizeof(ctypes.c_void_p)]  # the function, on every system

    before = handler()
    with fault_handlers_kept():
        libc.signal(signal.SIGFPE, ctypes.c_void_p(1))  # ignore it
        assert handler() != before
    assert handler() == before


def test_a_task_whose_process_is_killed_is_begun_again(ray: Any, tmp_path: Path):
    seen: dict[int, int] = {}
    arguments = [(str(tmp_path), number) for number in range(4)]
    results = run_tasks(ray, work.die_once, arguments, LITTLE, done=seen.__setitem__)
    assert results == [0, 1, 4, 9]
    assert seen == dict(enumerate(results))
    assert {path.name for path in tmp_path.iterdir()} == {"died-1", "died-3"}


def test_what_a_task_refuses_is_said_as_it_said_it(ray: Any):
    with pytest.raises(IndexingError, match=r"^the number 1 is refused: give another.$"):
        run_tasks(ray, work.refuse, [(0,), (1,), (2,)], LITTLE)


def test_processes_are_not_of_lower_priority_than_this_one(ray: Any, tmp_path: Path):
    crew = Crew(ray, work.Place, [(str(tmp_path),)], LITTLE, 60)
    try:
        assert crew.call("niceness") == [os.nice(0)]
    finally:
        crew.close()


def test_a_killed_object_is_made_again_and_answers(ray: Any, tmp_path: Path):
    crew = Crew(ray, work.Echo, [("a", str(tmp_path)), ("b", str(tmp_path))], LITTLE, 30)
    try:
        assert crew.call("say", crew.put("hello")) == ["a hello", "b hello"]
        assert crew.call("die_once", "b") == ["a", "b"]
        assert (tmp_path / "echo-died-b").exists()
        with pytest.raises(IndexingError, match=r"^a refuses: ask another.$"):
            crew.call("refuse")
    finally:
        crew.close()


def test_an_object_that_dies_of_every_call_is_gone_and_comes_back(ray: Any, tmp_path: Path):
    crew = Crew(ray, work.Echo, [("a", str(tmp_path)), ("b", str(tmp_path))], LITTLE, 30)
    try:
        answers = crew.call("die", "b")
        assert answers[0] == "a"
        assert isinstance(answers[1], Gone)
        with pytest.raises(ClusterError, match=r"^shard b does not answer .*--allow-partial"):
            refuse_gone(answers, ["shard a", "shard b"])
        deadline = time.monotonic() + 60
        while isinstance(answers[1], Gone) and time.monotonic() < deadline:
            answers = crew.call("say", "again")
        assert answers == ["a again", "b again"]
    finally:
        crew.close()


def test_what_dies_more_often_than_ray_repeats_is_asked_again_when_it_is_back(
    ray: Any, tmp_path: Path
):
    crew = Crew(ray, work.Echo, [("a", str(tmp_path))], LITTLE, 60)
    try:
        assert crew.call("die_times", AGAIN + 2) == ["a"]
    finally:
        crew.close()


def test_an_object_that_works_longer_than_patience_is_waited_for(ray: Any, tmp_path: Path):
    crew = Crew(ray, work.Echo, [("a", str(tmp_path))], LITTLE, 2)
    try:
        crew.call("say", "made")
        assert crew.call("work", 4.5) == ["a"]
        with ThreadPoolExecutor(AT_ONCE) as threads:  # as many as it answers at once
            found = threads.map(lambda _: crew.call("work", 6), range(AT_ONCE))
            assert list(found) == [["a"]] * AT_ONCE
    finally:
        crew.close()


def test_what_a_killed_replica_leaves_unanswered_another_answers(ray: Any, tmp_path: Path):
    crew = Crew(ray, work.Place, [(str(tmp_path),)], LITTLE, 30, replicas=2)
    try:
        pids = {crew.call("pid")[0] for _ in range(4)}
        assert len(pids) == 2  # in turn
        assert crew.call("die_once") == ["died once"]  # the second was asked, not the first again
        deadline = time.monotonic() + 60
        after = {crew.call("pid")[0]}
        while len(after) < 2 and time.monotonic() < deadline:
            after.add(crew.call("pid")[0])
        assert len(after - pids) == 1  # the dead one was replaced
    finally:
        crew.close()


def test_shares_are_equal_and_no_larger_than_a_node(ray: Any):
    assert share_of(ray, ClusterOptions(), 3) == Share(2, 0)
    assert share_of(ray, ClusterOptions(), 12) == Share(0.5, 0)
    assert share_of(ray, ClusterOptions(), 1) == Share(2, 0)
    with pytest.raises(ClusterError, match="--cluster-cpus 64 is more than any node"):
        share_of(ray, ClusterOptions(cpus=64), 1)


@pytest.mark.parametrize(
    "filter", [None, "contents:graph", [f"doc{n:04}" for n in range(0, 90, 7)]]
)
def test_what_processes_find_is_what_one_finds(
    here: LuceneHypencoderSearcher,
    there: ShardedHypencoderSearcher,
    topics: dict[str, str],
    filter: str | list[str] | None,
):
    texts, qids = list(topics.values()), list(topics)
    how: dict[str, Any] = {"k": 30, "mode": "exhaustive", "filter": filter}
    expected, found = (one.batch_search(texts, qids, **how) for one in (here, there))
    assert ranked(found) == ranked(expected)
    assert all(found[qid].cost.evaluations == expected[qid].cost.evaluations for qid in qids)


@pytest.mark.parametrize("options", [TangentOptions(), GraphOptions(num_entry_points=100)])
def test_each_shard_is_searched_approximately(
    here: LuceneHypencoderSearcher,
    there: ShardedHypencoderSearcher,
    topics: dict[str, str],
    options: Any,
):
    texts, qids = list(topics.values()), list(topics)
    mode = "tangent" if isinstance(options, TangentOptions) else "graph"
    exact = here.batch_search(texts, qids, mode="exhaustive")
    found = there.batch_search(texts, qids, mode=mode, options=options)
    common = [
        len({hit.docid for hit in exact[qid]} & {hit.docid for hit in found[qid]}) for qid in qids
    ]
    assert sum(common) >= 9.5 * len(qids)


@pytest.mark.parametrize("drop", [False, True])
def test_given_documents_are_ranked_wherever_they_lie(
    here: LuceneHypencoderSearcher,
    there: ShardedHypencoderSearcher,
    topics: dict[str, str],
    drop: bool,
):
    texts, qids = list(topics.values()), list(topics)
    docids = ["nowhere1", *(f"doc{number:04}" for number in range(40)), "nowhere0"]
    given = {qid: docids[: 2 + 4 * place] for place, qid in enumerate(qids)}
    expected, found = (
        one.batch_rerank(texts, qids, given, drop_missing=drop) for one in (here, there)
    )
    assert ranked(found) == ranked(expected)
    assert [found[qid].missing for qid in qids] == [expected[qid].missing for qid in qids]
    few = ["doc0001", "doc0002", *(f"nowhere{number}" for number in range(5))]
    found = there.rerank(texts[0], few, 2, drop_missing=True)
    assert sorted(hit.docid for hit in found) == few[:2]


def test_bm25_has_the_statistics_of_the_whole(
    ray: Any, shards: Path, topics_file: Path, tmp_path: Path
):
    runs = []
    for cluster in ([], ["--cluster", "auto", "--cluster-cpus", "0.1"]):
        output = tmp_path / f"run{len(runs)}.txt"
        base = ["--index", str(shards), "--topics", str(topics_file), "--output", str(output)]
        flags = ["--first-stage", "bm25", "--hybrid", "rrf", "--device", "cpu", "--quiet"]
        assert search([*base, *flags, *cluster]) == 0
        runs.append(read_run(output))
    assert runs[0] == runs[1]


def test_a_shard_that_cannot_be_read_is_told_as_without_a_cluster(
    there: ShardedHypencoderSearcher, topics: dict[str, str]
):
    with pytest.raises(IndexingError, match="is not a query in Lucene's syntax"):
        there.search(topics["1"], filter="contents:(")


def test_shards_built_on_a_cluster_are_those_built_without(
    ray: Any, shards: Path, collection: Path, tiny_model: Path, tmp_path: Path
):
    """Also if the process of a shard is killed, whose successor goes on with it."""
    index = tmp_path / "there"
    killed: list[int] = []
    with killing(index, killed):
        flags = ["--cluster", "auto", "--cluster-cpus", "1"]
        assert build([*building(index, collection, tiny_model), *flags]) == 0
    assert killed
    assert read_shards(index) == read_shards(shards)
    for name in ("shard-000", "shard-001"):
        with Index(index / name) as found, Index(shards / name) as expected:
            docids = sorted(expected.docids())
            assert sorted(found.docids()) == docids
            # By rounding alone: a task encodes with other numbers of threads.
            vectors = found.vectors(docids), expected.vectors(docids)
            np.testing.assert_allclose(*vectors, rtol=0, atol=1e-5)
            for field in ("raw", "contents"):
                assert found.stored_fields(docids, field) == expected.stored_fields(docids, field)
            assert found.similarity == expected.similarity


@contextmanager
def killing(index: Path, killed: list[int]) -> Iterator[None]:
    """Kill one of the processes that build an index, once a shard was begun."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            workers = work.workers_at("build_one") if list(index.glob("*.building")) else []
            if workers:
                killed.append(workers[0])
                os.kill(workers[0], signal.SIGKILL)
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_what_a_build_refuses_is_said_and_can_be_mended(
    ray: Any, tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    documents = make_documents(400)  # more than a chunk of each shard, so that some are committed
    path = write_jsonl(tmp_path / "corpus.jsonl", [*documents, documents[3]])
    flags = ["--cluster", "auto", "--cluster-cpus", "1"]
    assert build([*building(tmp_path / "index", path, tiny_model), *flags]) == 2
    assert "the docid doc0003 occurs more than once in the collection" in capfd.readouterr().err
    write_jsonl(path, documents)
    assert build([*building(tmp_path / "index", path, tiny_model), *flags, "--resume"]) == 0
    with Index(tmp_path / "index") as index:
        assert index.num_docs == 400


def test_a_shard_that_is_away_refuses_the_query_or_is_named(
    ray: Any,
    shards: Path,
    topics: dict[str, str],
    here: LuceneHypencoderSearcher,
    there: ShardedHypencoderSearcher,
    monkeypatch: pytest.MonkeyPatch,
):
    whole = ranked({"1": there.search(topics["1"], 400, mode="exhaustive")})
    assert whole == ranked({"1": here.search(topics["1"], 400, mode="exhaustive")})
    ray.kill(there._crew._actors[1][0])  # for good: Ray does not start it again
    with pytest.raises(ClusterError, match=r"^the shard shard-001 does not answer"):
        there.search(topics["1"])
    monkeypatch.setattr(there, "_allow_partial", True)
    with LuceneHypencoderSearcher(shards / "shard-000", device="cpu") as first:
        expected = first.search(topics["1"], 400, mode="exhaustive")
    found = there.search(topics["1"], 400, mode="exhaustive")
    assert ranked({"1": found}) == ranked({"1": expected})
    assert there.without == ["shard-001"]
