"""Python threads that call Java."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import ParamSpec, TypeVar

from hypserini.jvm.starting import detach

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

PATIENCE_S = 1.0

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


def waited_for(work: Callable[[], object], what: str) -> None:
    """Do work in Java that may last, on a thread of its own: signals are handled meanwhile.

    Args:
        work: Goes on when the wait is interrupted, and ends with the process at the latest.
        what: What is waited for, which is logged where it takes long.
    """
    failed: list[BaseException] = []

    def task() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:
            detach()

    thread = threading.Thread(target=task, name="hypserini-waiting", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if thread.is_alive():
        logger.warning("waiting for %s; to interrupt once more ends at once", what)
    while thread.is_alive():
        thread.join(PATIENCE_S)
    if failed:
        raise failed[0]


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
