"""Python threads that call Java."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import ParamSpec, TypeVar

from hypserini.jvm.starting import detach

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

AHEAD = 2
"""Results that may wait to be fetched, and be computed meanwhile, for each thread."""


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


def side_by_side(
    function: Callable[[T], R], items: Iterable[T], threads: int, name: str = "hypserini"
) -> Generator[R, None, None]:
    """Call `function` with each item on several threads; hands out the results in their order.

    However many items there are, at most twice as many calls as threads are begun before their
    results are asked for. When whoever asks stops, by an error or by closing the iterator, no
    further call is begun, and those under way are waited for.
    """
    stream = iter(items)
    task = detached(function)
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        begun: deque[Future[R]] = deque(
            pool.submit(task, item) for item in islice(stream, AHEAD * threads)
        )
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(task, item) for item in islice(stream, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
