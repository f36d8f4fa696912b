"""Ray: tasks and objects outlive their processes; real nodes, each a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypserini.cluster.connection import ClusterOptions, Share, connected, import_ray, share_of
from hypserini.cluster.crew import Crew, Gone, refuse_gone
from hypserini.cluster.tasks import run_tasks
from hypserini.errors import ClusterError, IndexingError

pytest.importorskip("ray")

import cluster_work as work

pytestmark = pytest.mark.long

TESTS = Path(__file__).parent
LITTLE = Share(0.1, 0)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of three nodes on this machine; its workers import what the tests import."""
    import_ray()
    from ray.cluster_utils import Cluster

    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(TESTS.parent), str(TESTS), *filter(None, [path])]
    )
    size: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(**size)
    yield cluster
    cluster.shutdown()
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


@pytest.fixture(scope="module")
def ray(nodes: Any) -> Iterator[Any]:
    """The module, connected to the nodes."""
    with connected(nodes.address) as ray:
        yield ray


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


def test_an_object_that_works_longer_than_patience_is_waited_for(ray: Any, tmp_path: Path):
    crew = Crew(ray, work.Echo, [("a", str(tmp_path))], LITTLE, 2)
    try:
        crew.call("say", "made")
        assert crew.call("work", 4.5) == ["a"]
    finally:
        crew.close()


def test_shares_are_equal_and_no_larger_than_a_node(ray: Any):
    assert share_of(ray, ClusterOptions(), 3) == Share(2, 0)
    assert share_of(ray, ClusterOptions(), 12) == Share(0.5, 0)
    assert share_of(ray, ClusterOptions(), 1) == Share(2, 0)
    with pytest.raises(ClusterError, match="--cluster-cpus 64 is more than any node"):
        share_of(ray, ClusterOptions(cpus=64), 1)
