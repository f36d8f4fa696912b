"""Queries of the form "exactly one of A and B", over documents whose vectors are given.

A document has some of a number of properties; its vector is a fixed random projection of which.
No vector of a query has "one but not both" above "both" and "none" together: what is linear in A
and in B is largest, or smallest, where both are. Models are trained over the same vectors on some
pairs of properties, and measured on pairs that they never saw.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig

from hypserini.modeling import (
    BiEncoder,
    DualEncoder,
    HypencoderConfig,
    HypencoderDualEncoder,
    QNetConfig,
)
from hypserini.modeling.bi_encoder import BiEncoderConfig

PROPERTIES, DIM, DOCUMENTS = 12, 64, 2000
BATCH, RATE = 32, 1e-3
SPECIAL = 2
"""Tokens before those of the properties: padding, and one that begins a query."""


def precision(blocks: int, *, steps: int, seed: int = 0) -> float:
    """Mean average precision over the queries held out; `blocks` 0 is a bi-encoder."""
    generator = torch.Generator().manual_seed(seed)
    has = torch.rand(DOCUMENTS, PROPERTIES, generator=generator) < 0.3
    projection = torch.randn(PROPERTIES, DIM, generator=generator) / PROPERTIES**0.5
    documents = has.float() @ projection
    pairs = list(itertools.combinations(range(PROPERTIES), 2))
    random.Random(seed).shuffle(pairs)
    queries = torch.tensor(pairs)
    relevant = (has.t()[queries[:, 0]] ^ has.t()[queries[:, 1]]).float()
    held_out = len(pairs) // 4
    torch.manual_seed(seed)
    model = _model(blocks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for step in range(steps):
        rows = torch.randint(held_out, len(pairs), (BATCH,), generator=generator)
        columns = torch.randint(DOCUMENTS, (256,), generator=generator)
        scores = _scores(model, queries[rows], documents[columns])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, relevant[rows][:, columns]
        )
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 50) * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        scores = _scores(model.eval(), queries[:held_out], documents)
    return _average_precision(scores, relevant[:held_out])


def _model(blocks: int) -> DualEncoder:
    base = BertConfig(
        vocab_size=PROPERTIES + SPECIAL,
        hidden_size=DIM,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * DIM,
        max_position_embeddings=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    shared: dict[str, Any] = {
        "shared_encoder": False,
        "passage_vectors": {"model": "given", "dimension": DIM},
    }
    if not blocks:
        return BiEncoder(BiEncoderConfig.from_base(base, pooling="cls", **shared))
    q_net = QNetConfig((DIM,) * (blocks + 1) + (1,), do_residual_on_last=True)
    model = HypencoderDualEncoder(HypencoderConfig.from_base(base, q_net, **shared))
    with torch.no_grad():  # the paper's begin at chance, for a million steps
        for name, parameter in model.query_encoder.named_parameters():
            if "query_embeddings" in name:
                parameter.normal_(std=0.3)
            elif "hyper_projection" in name and name.endswith("weight"):
                parameter.normal_(std=1 / parameter.shape[-1])
    return model


def _scores(model: DualEncoder, queries: Tensor, documents: Tensor) -> Tensor:
    """The scores [q, n] of queries [q, 2]."""
    ids = torch.cat([torch.ones(len(queries), 1, dtype=torch.long), queries + SPECIAL], 1)
    scores = model.encode_queries(ids, torch.ones_like(ids))(documents)
    return scores - scores.mean()  # neither kind has a bias in its output


def _average_precision(scores: Tensor, relevant: Tensor) -> float:
    ranked = relevant.gather(1, scores.argsort(1, descending=True))
    found = ranked.cumsum(1) / torch.arange(1, ranked.shape[1] + 1)
    return float(((found * ranked).sum(1) / ranked.sum(1)).mean())
