"""Python threads that call Java."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hypserini.jvm.starting import detach

P = ParamSpec("P")
R = TypeVar("R")


def detached(function: Callable[P, R]) -> Callable[P, R]:
    """Make `function` fit to be a task of a thread pool.

    A Python thread that has called Java must leave the JVM before it ends, or the JVM waits for it.
    """

    def task(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        finally:
            detach()

    return task
