"""First weights of the hyper head with which a Hypencoder begins as a bi-encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hypserini.modeling.hypernetwork import Hypernetwork

OFFSET = 1.0
"""Added before each relu, so that at first nearly nothing falls below zero and it is linear."""

OUTPUT_GAIN = 0.09


@torch.no_grad()
def begin_as_bi_encoder(head: Hypernetwork, gain: float = OUTPUT_GAIN) -> None:
    """Initialise the hyper head so that the untrained q-net ranks as a bi-encoder would.

    The paper's initialisation is made for a pretrained BERT and a million steps: it begins at
    chance. Here every hidden block begins as `x = LN(x + OFFSET) + x` (base matrix 1, base vector
    OFFSET, little from the query), and the output weights as `w = gain P LN(relu(V h + OFFSET))`
    with an orthogonal V and its transpose P, which points where the query's mean token state h
    does; so the score is nearly `h x` up to a factor. Learned queries get the std that gives small
    attention logits: 1 where they are divided by sqrt(width), 0.1 where they are not.

    It needs `do_residual_on_last`, else the document vector itself never reaches the output, and
    hidden blocks as wide as the document vector; others begin with orthogonal base matrices.

    Args:
        head: the hypernetwork whose transformer is left alone.
        gain: sets the spread of the first scores, and so the softness of the softmax over them.
    """
    last = len(head.hyper_base_matrices) - 1
    for i, base in enumerate(head.hyper_base_matrices):
        width = base.shape[-1]
        if i < last:
            nn.init.orthogonal_(base[0])
            if base.shape[1] == width:
                base[0].copy_(torch.eye(width))
        else:
            nn.init.zeros_(base)
        nn.init.normal_(head.weight_query_embeddings[i], std=1.0 if i < last else 0.1)
        nn.init.normal_(_linear(head.weight_hyper_projection[i]).weight, std=4 / width**2)
    for i, base in enumerate(head.hyper_base_vectors):
        nn.init.constant_(base, OFFSET)
        nn.init.normal_(head.bias_query_embeddings[i], std=0.1)
        projection = _linear(head.bias_hyper_projection[i])
        nn.init.normal_(projection.weight, std=4 / base.shape[-1] ** 2)
        nn.init.zeros_(projection.bias)
    values, output = _linear(head.value_projections[last]), head.weight_hyper_projection[last]
    nn.init.orthogonal_(values.weight)
    nn.init.constant_(values.bias, OFFSET)
    if values.weight.shape == _linear(output).weight.shape:
        _linear(output).weight.copy_(gain * values.weight.t())
    _linear(head.key_projections[last]).weight.mul_(0.3)


def _linear(module: Tensor | nn.Module) -> Any:
    assert isinstance(module, nn.Linear)
    return module
