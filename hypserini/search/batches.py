"""Queries in batches, searched one after another or side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from hypserini.jvm.threads import side_by_side
from hypserini.modeling import QNet
from hypserini.search.ranking import Hits

Batch = tuple[Sequence[str | QNet], Sequence[str]]
"""Queries and their ids."""


def search_in_batches(
    search: Callable[[Batch], list[Hits]],
    queries: Sequence[str | QNet],
    qids: Sequence[str],
    size: int,
    threads: int,
) -> Iterator[tuple[str, Hits]]:
    """Search batches of `size` queries, `threads` of them side by side; in the order of the input.

    Threads share out torch's between them. Only a few batches are searched ahead of what was
    handed out, and closing the iterator stops them.
    """
    starts = range(0, len(queries), size)
    batches = ((queries[start : start + size], qids[start : start + size]) for start in starts)
    if threads == 1:
        for batch in batches:
            yield from zip(batch[1], search(batch), strict=True)
        return
    cores = torch.get_num_threads()

    def task(batch: Batch) -> list[Hits]:
        torch.set_num_threads(max(1, cores // threads))
        return search(batch)

    found = side_by_side(task, batches, threads, "hypserini-search")
    try:
        for start, rankings in zip(starts, found, strict=True):
            yield from zip(qids[start : start + size], rankings, strict=True)
    finally:
        found.close()
        torch.set_num_threads(cores)
