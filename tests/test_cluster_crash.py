"""Thirty kills on a Ray cluster: of processes and whole nodes, at random, as they build and search.

After each, no document is lost or doubled, no hit list is wrong, and a query is answered or refused
by a sentence that says which shard is away. `make test-cluster` runs it.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_documents, write_jsonl
from rankings import assert_same_ranking

from hypserini import LuceneHypencoderSearcher, ShardedHypencoderSearcher
from hypserini.check.checks import check_index
from hypserini.cluster.connection import ClusterOptions, connected
from hypserini.errors import ClusterError
from hypserini.index.__main__ import main as build
from hypserini.index.reader import Index
from hypserini.search.modes.tangent import TangentOptions

pytest.importorskip("ray")

import cluster_work as work

pytestmark = pytest.mark.slow

DOCUMENTS = 900
SHARDS = 3
BUILD_KILLS = 12
SEARCH_KILLS = 18
REFUSED = r"^the shard shard-00\d does not answer \(.+\): start its node again"


class Killer:
    """Kills processes and nodes of a cluster, and notes which; a node is replaced by another."""

    def __init__(self, cluster: Any, function: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self._cluster = cluster
        self._function = function

    def kill(self) -> bool:
        """Kill one of the processes that run the function, or a node; whether there was one."""
        if self.rng.random() < 0.4:
            node = self.rng.choice(sorted(self._cluster.worker_nodes, key=str))
            self._cluster.remove_node(node, allow_graceful=False)
            self._cluster.add_node(wait=False, **work.NODE)
            return self._killed("node")
        workers = work.workers_at(self._function)
        if not workers:
            return False
        os.kill(self.rng.choice(workers), signal.SIGKILL)
        return self._killed("process")

    def _killed(self, kind: str) -> bool:
        self.kills[kind] += 1
        print(f"{time.strftime('%X')} killed a {kind} of {self._function}", flush=True)
        return True


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    with work.three_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = make_documents(DOCUMENTS)
    return write_jsonl(tmp_path_factory.mktemp("source") / "corpus.jsonl", documents)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, source: Path, tiny_model: Path) -> Path:
    """The shards, built by this process, which nobody kills."""
    index = tmp_path_factory.mktemp("whole") / "shards"
    assert build(building(index, source, tiny_model)) == 0
    return index


def building(index: Path, source: Path, model: Path, *flags: str) -> list[str]:
    """Flags of a build that commits after every few documents."""
    base = ["--collection", str(source), "--model", str(model), "--index", str(index)]
    how = f"--shards {SHARDS} --batch-size 1 --commit-every 0 --device cpu --quiet"
    return [*base, *how.split(), *flags]


@contextmanager
def meanwhile(do: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread until the block is over, which the event tells it."""
    over = threading.Event()
    failed: list[BaseException] = []

    def doing() -> None:
        try:
            do(over)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=doing)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failed, failed


def assert_same_documents(found: Path, expected: Path) -> None:
    """All documents once, in the same shards, with the same texts and vectors."""
    assert [finding.fault for finding in check_index(found) if finding.fault] == []
    for number in range(SHARDS):
        name = f"shard-{number:03}"
        with Index(found / name) as one, Index(expected / name) as other:
            docids = sorted(other.docids())
            assert sorted(one.docids()) == docids
            assert one.stored_fields(docids, "raw") == other.stored_fields(docids, "raw")
            vectors = one.vectors(docids), other.vectors(docids)
            np.testing.assert_allclose(*vectors, rtol=0, atol=1e-5)
    assert not list(found.glob("*.building"))


def test_searches_whose_processes_and_nodes_are_killed(
    nodes: Any, whole: Path, topics: dict[str, str]
) -> None:
    """Half of the kills with little patience, so that queries are refused, too."""
    told: Counter[str] = Counter()
    for patience, seed in ((60.0, 3), (1.0, 4)):
        options = ClusterOptions(nodes.address, cpus=1, patience=patience)
        killer = Killer(nodes, "Held", seed)
        with ShardedHypencoderSearcher(whole, device="cpu", batch_size=3, cluster=options) as there:
            searches = searches_of(there, topics)
            expected = right_answers(whole, there, topics)
            answered = threading.Event()

            def kill_all(
                over: threading.Event, killer: Killer = killer, answered: threading.Event = answered
            ) -> None:
                while killer.kills.total() < SEARCH_KILLS / 2 and not over.wait(
                    killer.rng.uniform(0, 3)
                ):
                    if killer.kill() and killer.rng.random() < 0.7:  # else also what comes back
                        answered.clear()
                        answered.wait(180)

            with meanwhile(kill_all):
                deadline = time.monotonic() + 1200
                rounds = 0
                while killer.kills.total() < SEARCH_KILLS / 2 or not answered.is_set():
                    assert time.monotonic() < deadline, "the killed never came back"
                    kind = rounds % len(searches)
                    rounds += 1
                    try:
                        found = searches[kind]()
                    except ClusterError as error:
                        told["refused" if re.match(REFUSED, str(error)) else str(error)] += 1
                        continue
                    for qid, hits in expected[kind].items():
                        assert_same_ranking(found[qid], hits)
                    told["answered"] += 1
                    if not answered.is_set():
                        print(f"{time.strftime('%X')} answered again, {told['refused']} refused")
                    answered.set()
        for kind, number in killer.kills.items():
            told[kind] += number
    print(f"search: {dict(told)}, 0 wrong hit lists")
    assert set(told) <= {"answered", "refused", "process", "node"}
    assert told["process"] + told["node"] == SEARCH_KILLS


Search = Callable[[], dict[str, Any]]


def searches_of(searcher: LuceneHypencoderSearcher, topics: dict[str, str]) -> list[Search]:
    """One query, batches, given documents, a filter, and approximate search."""
    texts, qids = list(topics.values()), list(topics)
    given = {qid: [f"doc{number:04}" for number in range(0, 200, 3)] for qid in qids}
    return [
        lambda: {"1": searcher.search(topics["1"], 20, mode="exhaustive")},
        lambda: searcher.batch_search(texts, qids, 50, mode="exhaustive"),
        lambda: dict(searcher.batch_rerank(texts, qids, given)),
        lambda: searcher.batch_search(texts, qids, 20, mode="exhaustive", filter="contents:graph"),
        lambda: searcher.batch_search(texts, qids, 10, mode="tangent", options=TangentOptions()),
    ]


def right_answers(
    whole: Path, there: ShardedHypencoderSearcher, topics: dict[str, str]
) -> list[dict[str, Any]]:
    """What one process finds; of approximate search, what the cluster finds undisturbed."""
    with LuceneHypencoderSearcher(whole, device="cpu", batch_size=3) as here:
        exact = [search() for search in searches_of(here, topics)[:-1]]
    return [*exact, undisturbed(searches_of(there, topics)[-1])]


def undisturbed(search: Search) -> dict[str, Any]:
    """What a search finds, once all shards are open: little patience may end before that."""
    deadline = time.monotonic() + 180
    while True:
        try:
            return search()
        except ClusterError:
            if time.monotonic() > deadline:
                raise


def test_builds_whose_processes_and_nodes_are_killed(
    nodes: Any, source: Path, whole: Path, tiny_model: Path, tmp_path: Path
) -> None:
    killer = Killer(nodes, "build_one", seed=1)
    builds = 0

    def kill_twice(over: threading.Event) -> None:
        index = tmp_path / f"built{builds}"
        for _ in range(2):
            while not list(index.glob("*.building")) and not over.wait(0.05):
                pass
            if over.wait(killer.rng.uniform(0, 5)):
                return
            killer.kill()

    with connected(nodes.address):
        while killer.kills.total() < BUILD_KILLS:
            index = tmp_path / f"built{builds}"
            with meanwhile(kill_twice):
                flags = ["--cluster", "auto", "--cluster-cpus", "1"]
                assert build(building(index, source, tiny_model, *flags)) == 0
            assert_same_documents(index, whole)
            builds += 1
    print(f"build: {dict(killer.kills)} killed in {builds} builds, 0 documents lost or doubled")


def test_builds_whose_command_is_killed_are_gone_on_with(
    nodes: Any, source: Path, whole: Path, tiny_model: Path, tmp_path: Path
) -> None:
    rng = random.Random(2)
    killed = 0
    while killed < 3:
        index = tmp_path / f"built{killed}"
        flags = ["--cluster", nodes.address, "--cluster-cpus", "1"]
        given = building(index, source, tiny_model, *flags)
        command = [sys.executable, "-m", "hypserini.index", *given]
        with subprocess.Popen(command) as process:
            while not list(index.glob("*.building")) and process.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 4))
            process.kill()
        if process.returncode == 0:
            continue
        killed += 1
        subprocess.run([*command, "--resume"], check=True, timeout=300)
        assert_same_documents(index, whole)
    print(f"build: {killed} commands killed, 0 documents lost or doubled")
