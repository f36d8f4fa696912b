"""Batches formed from concurrent requests: what waits while one batch is searched is the next."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hypserini.errors import HypseriniError

logger = logging.getLogger(__name__)


class Overloaded(HypseriniError):
    """As many requests wait as may: answered with status 503."""


@dataclass(slots=True)
class _Job:
    key: Hashable
    item: Any
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """A queue with a limit, and threads that take from it all at once that belongs together.

    No request waits for others to come: a batch is what has gathered while the threads were busy.
    Invariant: a job is in the queue, or a thread has it, or its future is done.

    Args:
        work: Answers the items of one key, in their order; called from several threads.
        limit: Jobs that may wait.
        batch_size: Jobs answered together.
        threads: Batches at once.
    """

    def __init__(
        self,
        work: Callable[[Any, Sequence[Any]], Sequence[Any]],
        *,
        limit: int = 256,
        batch_size: int = 16,
        threads: int = 1,
    ) -> None:
        self._work = work
        self._limit = limit
        self._batch_size = batch_size
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"hypserini-serve-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def submit(self, key: Hashable, item: Any) -> Future[Any]:
        """Put an item into the queue; its future may be cancelled until a thread has taken it.

        Raises:
            Overloaded: The queue is full, or closed.
        """
        job = _Job(key, item)
        with self._changed:
            if self._closed or len(self._waiting) >= self._limit:
                raise Overloaded("the server is busy: try again later")
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Take nothing more, answer what waits, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[_Job]:
        """The oldest job, and those after it that go with it; none when all is over."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                batch: list[_Job] = []
                others: deque[_Job] = deque()
                for job in self._waiting:
                    if len(batch) == self._batch_size or (batch and job.key != batch[0].key):
                        others.append(job)
                    elif job.future.set_running_or_notify_cancel():
                        batch.append(job)
                self._waiting = others
                if batch or self._closed:
                    return batch

    def _answer(self, batch: list[_Job]) -> None:
        try:
            answers = self._work(batch[0].key, [job.item for job in batch])
            for job, answer in zip(batch, answers, strict=True):
                job.future.set_result(answer)
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            # One query's fault is not the others': each is tried alone.
            for job in batch:
                if not job.future.done():
                    self._answer([job])
