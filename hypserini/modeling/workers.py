"""Threads that each compute alone: no barrier between them after every operation.

And what a forked process is told, which has none of the threads that torch computes with.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch

from hypserini.errors import ForkError

WORTH_SHARING = 50_000_000
"""Multiplications from which on it pays to share out the work of one query to all threads."""

_pools: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()
# Threads within `one_thread`, and how many torch used before.
_alone = 0
_before = 1
# Whether torch has computed here for us, and whether it had in the process that this was forked of.
_has_computed = False
_is_forked = False


def check_threads() -> None:
    """To be called before a model computes: in a forked process it might wait for ever.

    torch's threads do not come along, and OpenMP waits for them all the same. A process that
    computes with one thread, as the workers of a DataLoader do, needs none of them.

    Raises:
        ForkError: This process was forked from one in which a model had computed.
    """
    global _has_computed
    if _is_forked and torch.get_num_threads() > 1:
        raise ForkError(
            "this process was forked from one in which a model had computed, and torch's threads do"
            " not survive a fork: start worker processes with multiprocessing's 'spawn' method, or"
            " call torch.set_num_threads(1) in them."
        )
    _has_computed = True


def run_apart(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks on as many threads as torch would use for one operation, and wait for them.

    Where one fails, those that are not begun yet are left out.

    Torch splits each operation over its threads and waits for all of them at its end; between
    the short operations of a q-net that costs more than the operations. Here every thread runs
    whole tasks, with operations that stay on their thread.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(tasks) == 1:  # all threads share the operations of one alone
        for task in tasks:
            task()
        return
    pool = _pool(threads)
    futures = [pool.submit(task) for task in tasks]
    try:
        for future in futures:
            future.result()
    except BaseException:
        for future in futures:
            future.cancel()
        wait(futures)  # none goes on behind the back of whoever is told
        raise


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on the calling thread alone: for products so small that sharing them costs more.

    How many threads torch uses is also a setting of threads to come. So the first of several
    threads that are in here at once remembers what it was, and each puts that back.
    """
    global _alone, _before
    with _lock:
        present = torch.get_num_threads()  # asked later, a new thread would take over another's
        if not _alone:
            _before = present
        _alone += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _alone -= 1
            torch.set_num_threads(_before)


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        pool = _pools.get(threads)
        if pool is None:
            pool = _pools[threads] = ThreadPoolExecutor(threads, "hypserini-score")
            # How many threads an operation uses is a setting of the thread that calls it, but
            # torch.set_num_threads also sets the default of threads to come, and MKL's: so those
            # are put back at the end.
            ready = threading.Barrier(threads)
            futures = [pool.submit(_settle, ready) for _ in range(threads)]
            for future in futures:
                future.result()
            torch.set_num_threads(threads)
        return pool


def _settle(ready: threading.Barrier) -> None:
    # A thread takes the default over when it first asks, or computes: later, it would undo this.
    torch.get_num_threads()
    torch.set_num_threads(1)
    ready.wait()  # so that every thread of the pool takes its turn


def _forget() -> None:
    # A forked child has none of its parent's threads, and perhaps a lock that nobody holds.
    global _lock, _alone, _is_forked
    _is_forked = _is_forked or _has_computed
    _pools.clear()
    _lock = threading.Lock()
    _alone = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
