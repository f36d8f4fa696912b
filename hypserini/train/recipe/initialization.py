"""First weights with which a Hypencoder begins as a bi-encoder, and deep layers as none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hypserini.modeling.hypernetwork import Hypernetwork

OFFSET = 1.0
"""Added before each relu, so that at first nearly nothing falls below zero and it is linear."""

OUTPUT_GAIN = 0.09
"""Over the number of hidden blocks: gives the first scores a spread of about 3 at any depth."""

VECTOR_SCALE = 0.3
"""The length of the vectors behind inserted layers: short beside the q-net's normalised ones."""


@torch.no_grad()
def begin_as_bi_encoder(head: Hypernetwork) -> None:
    """Initialise the hyper head so that the untrained q-net ranks as a bi-encoder would.

    The paper's initialisation is made for a pretrained BERT and a million steps: it begins at
    chance. Here every hidden block begins as `x = LN(x + OFFSET) + x` (base matrix 1, base vector
    OFFSET, little from the query), and the output weights as `w = gain P LN(relu(V h + OFFSET))`
    with an orthogonal V and its transpose P, which points where the query's mean token state h
    does; so the score is nearly the cosine of h and x up to a factor, and the gain sets the spread
    of the first scores. Learned queries get the std that gives small attention logits: 1 where
    they are divided by sqrt(width), 0.1 where not.

    What comes out of the hidden blocks has the length sqrt(width), whatever the length of the
    document vector, which is added to it: with `normalize` the first scores rank exactly as
    cosines, else a document's length counts for something.

    It needs `do_residual_on_last`, else the document vector itself never reaches the output, and
    hidden blocks as wide as the document vector; others begin with orthogonal base matrices.

    Args:
        head: the hypernetwork whose transformer is left alone.
    """
    last = len(head.hyper_base_matrices) - 1
    gain = OUTPUT_GAIN / max(1, last)
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
    _linear(head.key_projections[last]).weight.mul_(0.05)


@torch.no_grad()
def begin_as_dot_product(head: Hypernetwork) -> None:
    """Initialise the hyper head so that the untrained network's score is 0 for all documents.

    Beside a query vector (`add_query_vector`) the q-net then ranks exactly as the inner product
    does. Output weights and what the query adds to them begin at zero; hidden blocks begin as
    random features, relu and layer norm over them, which the query changes little.
    """
    begin_as_bi_encoder(head)
    last = len(head.hyper_base_matrices) - 1
    for base in list(head.hyper_base_matrices)[:last]:
        nn.init.normal_(base, std=(2 / base.shape[-1]) ** 0.5)
    for vector in head.hyper_base_vectors:
        nn.init.zeros_(vector)
    nn.init.zeros_(_linear(head.weight_hyper_projection[last]).weight)
    nn.init.zeros_(_linear(head.weight_hyper_projection[last]).bias)


@torch.no_grad()
def insert_identity_layers(transformer: Any) -> None:
    """Make a BERT that took its embeddings from one without layers begin as that one.

    Each layer adds nothing at first: its two output projections are zero. The affine part of the
    embeddings' layer norm moves to the last layer's, scaled, since between them it would be
    normalised away. What comes out is that of the embeddings alone, times `VECTOR_SCALE`.
    """
    layers = transformer.encoder.layer
    for layer in layers:
        for output in (layer.attention.output.dense, layer.output.dense):
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)
    first, last = transformer.embeddings.LayerNorm, layers[-1].output.LayerNorm
    last.weight.copy_(VECTOR_SCALE * first.weight)
    last.bias.copy_(VECTOR_SCALE * first.bias)
    nn.init.ones_(first.weight)
    nn.init.zeros_(first.bias)


def _linear(module: Tensor | nn.Module) -> Any:
    assert isinstance(module, nn.Linear)
    return module
