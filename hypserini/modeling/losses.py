"""The paper's training losses: margin MSE against a teacher, cross-entropy in the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling.q_net import QNet

Loss = Callable[["BatchScores", Tensor | None], Tensor]


class BatchScores:
    """The scores of one training batch, each computed when a loss first asks for it.

    Args:
        q_net: the q-nets of the q queries.
        documents: [q * items, dim], the documents of query 0 first; a query's positive comes
            before its negatives.
        training: apply the q-net's dropout.

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


def margin_mse(*, scale: float = 1.0) -> Loss:
    """Mean over the negatives of ((s+ - s-) - (t+ - t-))^2, times `scale`.

    Needs the teacher's scores t [q, items] as labels, the positive's first (Hofstaetter et al.,
    arXiv 2010.02666; the Hypencoder paper's section 4.1).
    """

    def loss(scores: BatchScores, labels: Tensor | None) -> Tensor:
        if labels is None:
            raise ModelError("the margin_mse loss needs the teacher's scores as labels.")
        if labels.shape != scores.own.shape or scores.items < 2:
            raise ModelError(
                f"the margin_mse loss needs a label for every document and a negative for every "
                f"query: labels {list(labels.shape)}, scores {list(scores.own.shape)}."
            )
        student = scores.own[:, :1] - scores.own[:, 1:]
        teacher = labels[:, :1] - labels[:, 1:]
        return scale * F.mse_loss(student, teacher.to(student.dtype))

    return loss


def cross_entropy(
    *,
    use_in_batch_negatives: bool = True,
    only_use_first_item: bool = False,
    use_query_embedding_representation: bool = False,
    temperature: float = 1.0,
    scale: float = 1.0,
) -> Loss:
    """Cross-entropy of finding the query's first document, times `scale`; labels are not used.

    Args:
        use_in_batch_negatives: among the documents of all queries; else among the query's own.
        only_use_first_item: then only among the first documents of all queries.
        use_query_embedding_representation: named in the paper's checkpoints, without effect there
            and here.
        temperature: the scores are divided by it; cosines need one of about 0.04.
        scale: a factor on the loss.
    """
    del use_query_embedding_representation

    def loss(scores: BatchScores, labels: Tensor | None) -> Tensor:
        del labels
        if not use_in_batch_negatives:
            similarity, step = scores.own, 0
        elif only_use_first_item:
            similarity, step = scores.first, 1
        else:
            similarity, step = scores.all, scores.items
        target = torch.arange(len(similarity), device=similarity.device) * step
        return scale * F.cross_entropy(similarity / temperature, target)

    return loss


_LOSSES: dict[str, Callable[..., Loss]] = {"margin_mse": margin_mse, "cross_entropy": cross_entropy}
_TEACHER_LOSSES = ("margin_mse", "kl_divergence")


def similarity_losses(
    loss_type: Sequence[str], loss_kwargs: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Loss]]:
    """Make the losses that a model's config asks for; the training loss is their sum.

    Args:
        loss_type: names, `margin_mse` or `cross_entropy`; empty ones are skipped.
        loss_kwargs: the keyword arguments of each.

    Returns:
        (name, loss) pairs; a loss takes a `BatchScores` and the labels [q, items] or None and
        returns a scalar.

    Raises:
        ModelError: a name or an argument is unknown.
    """
    losses = []
    for name, kwargs in zip(loss_type, loss_kwargs, strict=True):
        if not name:
            continue
        if name not in _LOSSES:
            raise ModelError(f"unknown loss_type {name!r}: use one of {', '.join(_LOSSES)}.")
        try:
            losses.append((name, _LOSSES[name](**kwargs)))
        except TypeError as error:
            raise ModelError(f"the loss {name} does not take {dict(kwargs)}: {error}.") from error
    return losses


def needs_labels(loss_type: str | Sequence[str]) -> bool:
    """Whether one of the losses learns from a teacher's scores."""
    names = [loss_type] if isinstance(loss_type, str) else loss_type
    return any(name in _TEACHER_LOSSES for name in names)
