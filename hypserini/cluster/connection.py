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


def share_of(ray: Any, options: ClusterOptions, together: int) -> Share:
    """What each of some tasks or actors gets, where so many are to run at once.

    By default an equal share of all processors and GPUs, at most those of one node and at most one
    GPU.

    Raises:
        ClusterError: No node has as much as the options ask for.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    shares = []
    for name, asked, most in (("CPU", options.cpus, None), ("GPU", options.gpus, 1.0)):
        there = [float(node.get(name, 0)) for node in nodes] or [0.0]
        if asked is not None and asked > max(there):
            raise ClusterError(
                f"--cluster-{name.lower()}s {asked:g} is more than any node of the cluster has"
                f" ({max(there):g}): give less."
            )
        fair = min(sum(there) / together, max(there), *([most] if most else []))
        # Ray counts in ten thousandths, and more than 1 in whole ones.
        fair = float(int(fair)) if fair >= 1 else int(fair * 1000) / 1000
        shares.append(fair if asked is None else asked)
    return Share(*shares)
