"""The queries of a batch that are searched one by one, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch

from hypserini.jvm.threads import detached
from hypserini.modeling import QNet
from hypserini.modeling.workers import one_thread, run_apart
from hypserini.search.ranking import Hits
from hypserini.search.scorer import QNetScorer


def rank_each(
    scorer: QNetScorer, rank: Callable[[int, QNet], Hits], *, small: bool = False
) -> list[Hits]:
    """Call `rank` with the position and the q-net of each query, and give the hits in their order.

    On a CPU, a batch of as many queries as torch has threads, or more, is shared out by queries:
    threads that share the many small operations of one query wait for each other, and two that
    search for a query each answer about half as many again in the same time. Queries of a smaller
    batch come one after another, and all threads share each, unless what there is to share is
    `small`.
    """
    q_nets = list(scorer.q_net)
    threads = torch.get_num_threads()
    if scorer.device.type != "cpu" or not len(q_nets) >= threads > 1:
        with one_thread() if small else nullcontext():
            return [rank(position, q_net) for position, q_net in enumerate(q_nets)]
    found: dict[int, Hits] = {}

    @detached
    def task(position: int) -> None:
        found[position] = rank(position, q_nets[position])

    run_apart([partial(task, position) for position in range(len(q_nets))])
    return [found[position] for position in range(len(q_nets))]
