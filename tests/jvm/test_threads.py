"""Calls side by side: in order, bounded, and stopped by whoever asks."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from hypserini.jvm.threads import AHEAD, side_by_side, waited_for


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    assert list(side_by_side(slow_first, range(20), 3)) == [i * i for i in range(20)]
    assert list(side_by_side(slow_first, [], 3)) == []


def test_no_more_is_begun_than_threads_can_be_kept_busy_with() -> None:
    begun: list[int] = []
    results = side_by_side(lambda i: begun.append(i) or i, range(10_000), 2)
    for taken in range(1, 6):
        next(results)
        time.sleep(0.05)
        assert len(begun) <= taken + AHEAD * 2
    results.close()
    assert len(begun) <= 5 + AHEAD * 2


def test_who_stops_early_stops_the_work_and_its_threads() -> None:
    begun: list[int] = []
    before = threading.active_count()

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.01)
        return item

    for result in side_by_side(work, range(1000), 4):
        if result == 3:
            break
    del result
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
    stopped = len(begun)
    time.sleep(0.1)
    assert len(begun) == stopped <= 4 + AHEAD * 4


def test_an_error_comes_in_its_turn_and_ends_the_work() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError("item 2")
        return item

    results = side_by_side(work, range(1000), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="item 2"):
        next(results)
    assert len(begun) <= 3 + AHEAD * 2


def test_what_is_waited_for_can_be_interrupted(caplog) -> None:
    ended = threading.Event()
    timer = threading.Timer(1.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        waited_for(lambda: ended.wait(60), "a merge")
    ended.set()
    assert "waiting for a merge" in caplog.text

    def failing() -> None:
        raise ValueError("said")

    with pytest.raises(ValueError, match="said"):
        waited_for(failing, "nothing")
