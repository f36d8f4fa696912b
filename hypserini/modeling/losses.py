"""The training losses: distillation from a teacher's scores, cross-entropy in the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling.batch_scores import BatchScores

Loss = Callable[[BatchScores, Tensor | None], Tensor]


def margin_mse(*, scale: float = 1.0) -> Loss:
    """Mean over the negatives of ((s+ - s-) - (t+ - t-))^2, times `scale`.

    Needs the teacher's scores t [q, items] as labels, the positive's first (Hofstaetter et al.,
    arXiv 2010.02666; the Hypencoder paper's section 4.1).
    """

    def loss(scores: BatchScores, labels: Tensor | None) -> Tensor:
        student, teacher = _distilled("margin_mse", scores, labels)
        return scale * F.mse_loss(student[:, :1] - student[:, 1:], teacher[:, :1] - teacher[:, 1:])

    return loss


def kl_divergence(
    *, temperature: float = 1.0, teacher_temperature: float = 1.0, scale: float = 1.0
) -> Loss:
    """Mean over the queries of KL(teacher || student) over the query's own documents.

    The distributions are softmax(t / teacher_temperature) of the teacher's scores t [q, items],
    which come as labels, and softmax(s / temperature) of the q-nets' (Hinton et al., arXiv
    1503.02531, section 2; for passages ColBERTv2, arXiv 2112.01488, section 3.2). The order of
    the documents does not matter.

    Args:
        temperature: the q-nets' scores are divided by it.
        teacher_temperature: the teacher's are; above 1 the bad documents count for more.
        scale: a factor on the loss. Hinton et al. take the temperature's square, so that gradients
            keep their size whatever the temperature.

    Raises:
        ModelError: a temperature is not positive.
    """
    _check_temperature("kl_divergence", temperature)
    _check_temperature("kl_divergence", teacher_temperature)

    def loss(scores: BatchScores, labels: Tensor | None) -> Tensor:
        student, teacher = _distilled("kl_divergence", scores, labels)
        return scale * F.kl_div(
            (student / temperature).log_softmax(1),
            (teacher / teacher_temperature).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )

    return loss


def cross_entropy(
    *,
    use_in_batch_negatives: bool = True,
    only_use_first_item: bool = False,
    cross_device_negatives: bool = False,
    use_query_embedding_representation: bool = False,
    temperature: float = 1.0,
    scale: float = 1.0,
) -> Loss:
    """Cross-entropy of finding the query's first document, times `scale`; labels are not used.

    Among which documents it is to be found:

    - by default all documents of the batch, so that a query's hard negatives are every query's;
    - with `only_use_first_item` the first documents of all queries: no hard negatives, for data
      whose "negatives" may well be relevant, such as a teacher's;
    - without `use_in_batch_negatives` the query's own documents: hard negatives alone.

    Args:
        use_in_batch_negatives: see above.
        only_use_first_item: see above; without in-batch negatives it has no effect.
        cross_device_negatives: in a distributed training, the documents of all processes are in
            the batch, and gradients are those of one process with the joint batch. All processes
            need equally many documents. No effect in evaluation.
        use_query_embedding_representation: named in the paper's checkpoints, without effect there
            and here.
        temperature: the scores are divided by it; cosines need one of about 0.04.
        scale: a factor on the loss.

    Raises:
        ModelError: the temperature is not positive, or negatives of other devices are wanted
            without those of the batch.
    """
    del use_query_embedding_representation
    _check_temperature("cross_entropy", temperature)
    if cross_device_negatives and not use_in_batch_negatives:
        raise ModelError(
            "the loss cross_entropy has cross_device_negatives without use_in_batch_negatives: "
            "set both or neither."
        )

    def loss(scores: BatchScores, labels: Tensor | None) -> Tensor:
        del labels
        step = 1 if only_use_first_item else scores.items
        start = 0
        if not use_in_batch_negatives:
            if scores.items < 2:
                raise ModelError(
                    "the cross_entropy loss without use_in_batch_negatives needs a negative for "
                    "every query: set num_negatives_to_sample."
                )
            similarity, step = scores.own, 0
        elif cross_device_negatives:
            similarity, start = scores.across_processes(only_use_first_item)
        else:
            similarity = scores.first if only_use_first_item else scores.all
        target = start + step * torch.arange(len(similarity), device=similarity.device)
        return scale * F.cross_entropy(_exact(similarity) / temperature, target)

    return loss


_LOSSES: dict[str, Callable[..., Loss]] = {
    "margin_mse": margin_mse,
    "cross_entropy": cross_entropy,
    "kl_divergence": kl_divergence,
}
_TEACHER_LOSSES = ("margin_mse", "kl_divergence")


def needs_labels(loss_type: str | Sequence[str]) -> bool:
    """Whether one of the losses learns from a teacher's scores."""
    names = [loss_type] if isinstance(loss_type, str) else loss_type
    return any(name in _TEACHER_LOSSES for name in names)


def similarity_losses(
    loss_type: Sequence[str], loss_kwargs: Sequence[Mapping[str, Any] | None]
) -> list[tuple[str, Loss]]:
    """Make the losses that a model's config asks for; the training loss is their sum.

    Args:
        loss_type: names, `margin_mse`, `cross_entropy` or `kl_divergence`; empty ones are skipped.
        loss_kwargs: the keyword arguments of each.

    Returns:
        (name, loss) pairs; a loss takes a `BatchScores` and the labels [q, items] or None and
        returns a scalar. The name of a second loss of one kind ends in `_2`.

    Raises:
        ModelError: a name or an argument is unknown.
    """
    losses: dict[str, Loss] = {}
    for position, (kind, given) in enumerate(zip(loss_type, loss_kwargs, strict=True)):
        if not kind:
            continue
        if kind not in _LOSSES:
            raise ModelError(f"unknown loss_type {kind!r}: use one of {', '.join(_LOSSES)}.")
        kwargs = dict(given or {})
        before = list(loss_type[:position]).count(kind)
        name = f"{kind}_{before + 1}" if before else kind
        try:
            losses[name] = _LOSSES[kind](**kwargs)
        except TypeError as error:
            raise ModelError(f"the loss {kind} does not take {kwargs}: {error}.") from error
    return list(losses.items())


def _distilled(name: str, scores: BatchScores, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """The q-nets' scores and the teacher's, both [q, items], of at least single precision."""
    if labels is None:
        raise ModelError(f"the {name} loss needs the teacher's scores as labels.")
    if labels.shape != scores.own.shape or scores.items < 2:
        raise ModelError(
            f"the {name} loss needs a label for every document and a negative for every "
            f"query: labels {list(labels.shape)}, scores {list(scores.own.shape)}."
        )
    student = _exact(scores.own)
    return student, labels.to(student.dtype)


def _exact(scores: Tensor) -> Tensor:
    """At least single precision: in half, differences of scores would be rounded away."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _check_temperature(name: str, temperature: float) -> None:
    if not temperature > 0:
        raise ModelError(f"the loss {name} has the temperature {temperature}: it must be above 0.")
