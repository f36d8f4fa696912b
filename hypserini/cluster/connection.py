"""Joins a Ray cluster, or starts one of this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hypserini.cluster.signals import fault_handlers_kept
from hypserini.errors import ClusterError

AUTO = "auto"
"""The cluster of this machine or of $RAY_ADDRESS; if there is none, one is started for a while."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which cluster, and what of it each shard gets.

    Attributes:
        address: `auto`, or `HOST:PORT` of a cluster's head.
        cpus: Processors of each shard; None: see `share_of`.
        gpus: GPUs of each shard, also a part of one; None: see `share_of`.
        patience: Seconds that a shard may give no sign of life before a query does without it.
        replicas: Processes that search each shard, in turn.
    """

    address: str = AUTO
    cpus: float | None = None
    gpus: float | None = None
    patience: float = 60.0
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """What one task or actor takes of its node; Ray starts no more of them than there is room."""

    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        """Threads to compute with."""
        return max(1, int(self.cpus))


def import_ray() -> Any:
    """The module `ray`.

    Raises:
        ClusterError: It is not installed.
    """
    # Nothing is reported to Ray's makers, and workers without a GPU see none.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    # Nor do those of a cluster that is started here step back behind all else: a search waits.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            f"--cluster needs Ray ({error}): install it with `pip install 'hypserini[cluster]'`."
        ) from error
    return ray


@contextmanager
def connected(address: str = AUTO) -> Iterator[Any]:
    """The module `ray`, connected; a connection of the caller's is used and left as it is.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    with fault_handlers_kept():
        _connect(ray, address)
    try:
        yield ray
    finally:
        with fault_handlers_kept():
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse a head that nobody listens at, for which Ray would look for many minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"there is no Ray cluster at {address} ({error}): start its head with `ray start"
            " --head`, or give --cluster auto."
        ) from error


def _connect(ray: Any, address: str) -> None:
    _check_reachable(address)
    how = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        ray.init(address=address, **how)
    except ConnectionError as error:
        if address != AUTO or os.environ.get("RAY_ADDRESS"):
            raise ClusterError(
                f"there is no Ray cluster at {os.environ.get('RAY_ADDRESS') or address}: start"
                " its head with `ray start --head`, or give --cluster auto."
            ) from error
        ray.init(address="local", include_dashboard=False, **how)
    except (ValueError, RuntimeError, OSError) as error:
        raise ClusterError(f"the Ray cluster at {address} cannot be joined: {error}") from error


def share_of(ray: Any, options: ClusterOptions, together: int, least: int | None = None) -> Share:
    """What each of some tasks or actors gets, of which so many are to run at once.

    By default as much as leaves room for all of them on the nodes: at most one GPU, and processors
    of the nodes that have GPUs where there are any.

    Args:
        ray: The connected module.
        options: What of it is asked for.
        together: How many are to run at once.
        least: How many must have room at once; by default all.

    Raises:
        ClusterError: No node has as much as the options ask for, or there is no room for so many.
    """
    nodes = [
        (float(node["Resources"].get("CPU", 0)), float(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]
    for name, asked, there in zip(
        ("cpus", "gpus"), (options.cpus, options.gpus), zip(*nodes, strict=True), strict=False
    ):
        if asked is not None and asked > max(there):
            raise ClusterError(
                f"--cluster-{name} {asked:g} is more than any node of the cluster has"
                f" ({max(there):g}): give less."
            )
    gpus = options.gpus if options.gpus is not None else _gpus(nodes, together)
    shares = [Share(cpus, gpus) for cpus in _cpus(nodes, gpus, options.cpus, together)]
    rooms = [sum(_room(node, share) for node in nodes) for share in shares]
    for share, room in zip(shares, rooms, strict=True):
        if room >= together:
            return share
    least = together if least is None else least
    if not rooms or max(rooms) < least:
        raise ClusterError(
            f"the cluster has room for {max(rooms, default=0)} processes of the {least} that are"
            f" needed at once, with {shares[-1].cpus if shares else 0:g} processors and {gpus:g}"
            " GPUs each on one node: give less by --cluster-cpus, --cluster-gpus or"
            " --replicas, or add nodes."
        )
    return shares[rooms.index(max(rooms))]


Node = tuple[float, float]
"""The processors and the GPUs of a node."""


def _gpus(nodes: list[Node], together: int) -> float:
    """A GPU, or the part of one that leaves room for all."""
    there = int(sum(gpus for _, gpus in nodes))
    if not there:
        return 0.0
    return int(10_000 / -(-together // there)) / 10_000  # Ray counts in ten thousandths


def _cpus(nodes: list[Node], gpus: float, asked: float | None, together: int) -> list[float]:
    """What each could get of the processors, the most first: a node's, in equal parts."""
    if asked is not None:
        return [asked]
    parts = {
        cpus / number
        for cpus, there in nodes
        if cpus and there >= gpus
        for number in range(1, together + 1)
    }
    # Ray counts more than 1 in whole ones.
    whole = {float(int(part)) if part >= 1 else int(part * 1000) / 1000 for part in parts}
    return sorted(whole - {0.0}, reverse=True)


def _room(node: Node, share: Share) -> int:
    """How many processes with a share a node has room for; a part of a GPU is of one."""
    near = 1e-9
    rooms = []
    if share.cpus:
        rooms.append(int(node[0] / share.cpus + near))
    if share.gpus >= 1:
        rooms.append(int(node[1] / share.gpus + near))
    elif share.gpus:
        rooms.append(int(node[1]) * int(1 / share.gpus + near))
    return min(rooms, default=1 << 30)
