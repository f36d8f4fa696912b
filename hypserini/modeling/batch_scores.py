"""The scores of one training batch, and the documents of the other processes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from hypserini.errors import ModelError
from hypserini.modeling.q_net import QNet


class BatchScores:
    """The scores of one training batch, each computed when a loss first asks for it.

    Args:
        q_net: the q-nets of the q queries.
        documents: [q * items, dim], the documents of query 0 first; a query's positive comes
            before its negatives.
        training: apply the q-net's dropout, and let `across_processes` ask the other processes.

    Raises:
        ModelError: the documents cannot be shared out equally among the queries.
    """

    def __init__(self, q_net: QNet, documents: Tensor, training: bool = False) -> None:
        if len(documents) % len(q_net):
            raise ModelError(
                f"{len(documents)} documents cannot be shared out among {len(q_net)} queries: "
                f"give every query equally many."
            )
        self.q_net = q_net
        self.documents = documents
        self.training = training
        self.items = len(documents) // len(q_net)

    @cached_property
    def all(self) -> Tensor:
        """[q, q * items]: every query with every document of the batch."""
        return self.q_net(self.documents, training=self.training)

    @cached_property
    def first(self) -> Tensor:
        """[q, q]: every query with the first document of every query."""
        return self.q_net(self.documents[:: self.items], training=self.training)

    @cached_property
    def own(self) -> Tensor:
        """[q, items]: every query with its own documents."""
        queries = len(self.q_net)
        if "all" in self.__dict__:
            rows = torch.arange(queries, device=self.documents.device)
            return self.all.view(queries, queries, self.items)[rows, rows]
        groups = self.documents.view(queries, self.items, -1)
        return self.q_net(groups, training=self.training)

    def across_processes(self, first_only: bool) -> tuple[Tensor, int]:
        """Score the documents of all processes of a distributed training.

        Without training, the documents of this process alone: so that one of them may evaluate.

        Args:
            first_only: only the first documents of all queries.

        Returns:
            [q, n] scores of this process's queries, and the column of the first document that is
            this process's.

        Raises:
            ModelError: the processes hold different numbers of documents.
        """
        documents = self.documents[:: self.items] if first_only else self.documents
        if not (self.training and dist.is_available() and dist.is_initialized()):
            return (self.first if first_only else self.all), 0
        every = gather(documents)
        return self.q_net(every, training=True), dist.get_rank() * len(documents)


def gather(documents: Tensor) -> Tensor:
    """The document vectors [n, dim] of all p processes, by rank: [p * n, dim].

    The backward pass sums over the processes: with the mean over the processes that
    DistributedDataParallel takes, gradients are those of the mean loss over the joint batch.

    Raises:
        ModelError: the processes hold different numbers of documents.
    """
    count = torch.tensor([len(documents)], device=documents.device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    numbers = torch.cat(counts).tolist()
    if len(set(numbers)) > 1:
        raise ModelError(
            f"cross_device_negatives needs equally many documents on every process, but there are "
            f"{', '.join(map(str, numbers))}: set dataloader_drop_last to true."
        )
    return _Gather.apply(documents)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, documents: Tensor) -> Tensor:
        parts = [torch.empty_like(documents) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, documents.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]
