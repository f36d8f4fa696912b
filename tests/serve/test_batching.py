from __future__ import annotations

import threading

import pytest

from hypserini.serve.batching import Batcher, Overloaded


def test_what_waits_is_answered_together_by_kind():
    batches: list[tuple[str, list[int]]] = []
    busy, free = threading.Event(), threading.Event()

    def work(key, items):
        if key == "first":
            busy.set()
            free.wait(30)
        batches.append((key, list(items)))
        return [item * 10 for item in items]

    batcher = Batcher(work, batch_size=3)
    futures = [batcher.submit("first", 0)]
    assert busy.wait(30)
    futures += [batcher.submit("ab"[n % 2], n) for n in range(1, 9)]
    futures[3].cancel()
    free.set()
    batcher.close()
    assert batches[1:] == [("b", [1, 5, 7]), ("a", [2, 4, 6]), ("a", [8])]
    assert [future.result() for future in futures if not future.cancelled()] == [
        *(0, 10, 20, 40, 50, 60, 70, 80)
    ]
    with pytest.raises(Overloaded):
        batcher.submit("a", 1)


def test_one_query_that_fails_does_not_fail_the_others():
    busy, free = threading.Event(), threading.Event()

    def work(key, items):
        busy.set()
        free.wait(30)
        return [1 / item for item in items]

    batcher = Batcher(work)
    futures = [batcher.submit("a", 1)]
    assert busy.wait(30)
    futures += [batcher.submit("a", item) for item in (2, 0, 4)]
    free.set()
    batcher.close()
    assert [futures[n].result() for n in (0, 1, 3)] == [1, 0.5, 0.25]
    assert isinstance(futures[2].exception(), ZeroDivisionError)
