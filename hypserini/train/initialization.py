"""First weights of the hyper head for models that are narrower than the paper's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hypserini.modeling.hypernetwork import Hypernetwork

VECTOR_GAIN = 0.4


@torch.no_grad()
def scale_head_to_width(head: Hypernetwork) -> None:
    """Initialise the hyper head so that an untrained q-net already leans to a bi-encoder's scores.

    The paper's standard deviations belong to 768 dimensions, a pretrained BERT and a million
    steps. With a width d and few steps: base matrices have std sqrt(2/d) and projections 4/d^2;
    the learned queries have a std that gives attention logits of about unit variance (1 where
    they are divided by sqrt(d), 0.1 where they are not); and the output layer's projection is the
    transpose of its orthogonal value projection, so that `w = P LN(relu(V h))` points where the
    query's mean state h points (the scores' correlation with dot products is 0.6 at 256
    dimensions and one block). It needs `do_residual_on_last`, else the document vector itself never
    reaches the output.
    """
    last = len(head.hyper_base_matrices) - 1
    for i, base in enumerate(head.hyper_base_matrices):
        width = base.shape[-1]
        nn.init.normal_(base, std=(2 / width) ** 0.5)
        nn.init.normal_(head.weight_query_embeddings[i], std=1.0 if i < last else 0.1)
        nn.init.normal_(_weight(head.weight_hyper_projection[i]), std=4 / width**2)
    for base, queries in zip(head.hyper_base_vectors, head.bias_query_embeddings, strict=True):
        nn.init.zeros_(base)
        nn.init.normal_(queries, std=0.1)
    nn.init.zeros_(head.hyper_base_matrices[last])
    values = _weight(head.value_projections[last])
    nn.init.orthogonal_(values)
    projection = _weight(head.weight_hyper_projection[last])
    if values.shape == projection.shape:
        projection.copy_(VECTOR_GAIN * values.t())


def _weight(module: nn.Module) -> Tensor:
    assert isinstance(module, nn.Linear)
    return module.weight
