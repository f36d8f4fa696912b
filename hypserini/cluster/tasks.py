"""Tasks that do a piece of the work each, begun again where their process or node dies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypserini.cluster.connection import Share
from hypserini.errors import ClusterError, HypseriniError

TIMES = 100
"""How often a task is begun again; each goes on from where the last one came to."""

LOOK_S = 1.0
"""Seconds between looks at tasks that run."""


def run_tasks(
    ray: Any,
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    share: Share,
    *,
    done: Callable[[int, Any], object] = lambda number, result: None,
    looking: Callable[[], object] = lambda: None,
) -> list[Any]:
    """Call a function with each of some arguments on the cluster; returns the results in order.

    Args:
        ray: The connected module.
        function: One of a module that the nodes have too; it must bear being killed and called
            again.
        arguments: Of each call.
        share: What each call takes of its node.
        done: Called with number and result when a call has returned.
        looking: Called every second meanwhile.

    Raises:
        HypseriniError: As a call raised it; the others are interrupted, as by Ctrl-C.
        ClusterError: A call's process died again and again.
    """
    remote = ray.remote(function).options(
        num_cpus=share.cpus,
        num_gpus=share.gpus,
        max_retries=TIMES,
        scheduling_strategy="SPREAD",
    )
    number_of = {remote.remote(*given): number for number, given in enumerate(arguments)}
    results: list[Any] = [None] * len(arguments)
    running = list(number_of)
    try:
        while running:
            ready, running = ray.wait(running, timeout=LOOK_S)
            for reference in ready:
                number = number_of[reference]
                results[number] = result_of(ray, reference)
                done(number, results[number])
            looking()
    finally:
        for reference in running:
            ray.cancel(reference, force=False)
        if running:
            ray.wait(running, num_returns=len(running), timeout=30)
    return results


def result_of(ray: Any, reference: Any) -> Any:
    """What a call returned; what it raised is raised as it was, without the way through Ray.

    Raises:
        ClusterError: The call's process died.
    """
    errors = ray.exceptions
    try:
        return ray.get(reference)
    except errors.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, HypseriniError):
            raise cause from None
        raise
    except errors.RayError as error:
        said = str(error).strip().splitlines()
        raise ClusterError(
            f"a process of the cluster died, and those that took its place, too"
            f" ({type(error).__name__}: {said[0] if said else 'no reason given'}): see Ray's logs;"
            " memory is the usual reason."
        ) from error
