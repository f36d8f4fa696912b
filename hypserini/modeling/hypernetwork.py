"""The hypernetwork: a transformer over the query, and the hyper head that turns it into a q-net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypserini.modeling.nested import shortened_config
from hypserini.modeling.onednn import PackedWeight
from hypserini.modeling.q_net import QNet, q_net_class
from hypserini.modeling.q_net_config import QNetConfig
from hypserini.modeling.query_vector import QueryVector
from hypserini.modeling.scoring import layer_norm

# Standard deviations of the paper's initialisation; 768 whatever the model's width.
BASE_MATRIX_STD = (2 / 768) ** 0.5
QUERY_EMBEDDING_STD = 10.0
PROJECTION_STD = 1 / 768**2


class Hypernetwork(nn.Module):
    """Produces the weights of one q-net a query (arXiv 2502.05364, section 3.3).

    Every matrix and every bias vector of the q-net has an attention head of its own over the token
    states H: `K = H Wk + bk`, `V = H Wv + bv`, `A = softmax(Q K^T / s) V`, with one learned query
    in Q for each output unit (a vector counts as a matrix with one output unit), and then
    `W = proj(LN(relu(A))) + base`. The names of the parameters are those of the paper's
    checkpoints.

    Args:
        transformer: the query's encoder, a transformers model with `last_hidden_state`.
        config: the q-net to produce.
        model_dim: the width of the transformer's states.
        query_vector: makes the vector that stands beside the network, if the config asks for it.
    """

    def __init__(
        self,
        transformer: nn.Module,
        config: QNetConfig,
        model_dim: int,
        query_vector: QueryVector | None = None,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.q_net_config = config
        self._q_net_class = q_net_class(config.q_net_type)
        self.query_vector = query_vector
        matrices, vectors = config.matrix_shapes, config.vector_sizes
        widths = [width for width, _ in matrices] + vectors
        self.hyper_base_matrices = _parameters([(1, rows, width) for width, rows in matrices])
        self.hyper_base_vectors = _parameters([(1, width) for width in vectors])
        self.weight_query_embeddings = _parameters([(1, rows, width) for width, rows in matrices])
        self.bias_query_embeddings = _parameters([(1, 1, width) for width in vectors])
        self.weight_hyper_projection = _linears([(width, width) for width, _ in matrices])
        self.bias_hyper_projection = _linears([(width, width) for width in vectors])
        self.key_projections = _linears([(model_dim, width) for width in widths])
        self.value_projections = _linears([(model_dim, width) for width in widths])
        self._packed_queries = [PackedWeight() for _ in widths]
        self.reset_head()

    @torch.no_grad()
    def reset_head(self) -> None:
        """Initialise the hyper head, the transformer left alone, as the paper does.

        What is not set here keeps the initialisation of `nn.Linear`.
        """
        for i in range(len(self.hyper_base_matrices)):
            projection = cast(nn.Linear, self.weight_hyper_projection[i])
            nn.init.normal_(self.hyper_base_matrices[i], std=BASE_MATRIX_STD)
            nn.init.normal_(self.weight_query_embeddings[i], std=QUERY_EMBEDDING_STD)
            nn.init.normal_(projection.weight, std=PROJECTION_STD)
            nn.init.zeros_(projection.bias)
            # Only the matrices' heads lose their biases: so the paper's models were trained.
            for head in (self.key_projections[i], self.value_projections[i]):
                nn.init.zeros_(cast(nn.Linear, head).bias)
        for i in range(len(self.hyper_base_vectors)):
            nn.init.zeros_(self.hyper_base_vectors[i])
            nn.init.normal_(self.bias_query_embeddings[i], std=QUERY_EMBEDDING_STD)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, blocks: int | None = None) -> QNet:
        """Turn queries into q-nets.

        Args:
            input_ids: [q, length] token ids.
            attention_mask: [q, length], 0 at the pads.
            blocks: hidden blocks of the q-nets, the first ones (`nested`); None: all.
        """
        output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        return self.produce(output.last_hidden_state, attention_mask, blocks)

    def produce(self, states: Tensor, attention_mask: Tensor, blocks: int | None = None) -> QNet:
        """Turn token states [q, length, model_dim] into q-nets: the hyper head alone."""
        config, count = self.q_net_config, len(self.q_net_config.matrix_shapes)
        if blocks is not None:
            config = shortened_config(config, blocks)
        used = [*range(len(config.matrix_shapes) - 1), count - 1]
        biases = range(count, count + len(config.vector_sizes))
        if not torch.is_grad_enabled() and states.device.type == "cpu":
            tokens = [row[kept] for row, kept in zip(states, attention_mask.bool(), strict=True)]
            matrices = [self._produce_each(tokens, i) for i in used]
            vectors = [self._produce_each(tokens, i) for i in biases]
        else:
            pads = (attention_mask == 0).unsqueeze(-1)
            matrices = [self._produce(states, pads, i) for i in used]
            vectors = [self._produce(states, pads, i) for i in biases]
        own = [] if self.query_vector is None else [self.query_vector(states, attention_mask)]
        return self._q_net_class(
            config, [m.transpose(1, 2) for m in matrices], [v.squeeze(1) for v in vectors], *own
        )

    def _head(self, number: int) -> _Head:
        """The parameters of one head: first the matrices', then the vectors'."""
        matrices = len(self.q_net_config.matrix_shapes)
        keys, values = self.key_projections[number], self.value_projections[number]
        if number < matrices:
            # The scale is the root of the number of rows, not of the width that is summed over,
            # and so 1 for the output layer and all vectors: the paper's models were trained so.
            return _Head(
                *(keys, values, self.weight_query_embeddings[number][0]),
                *(self.weight_hyper_projection[number], self.hyper_base_matrices[number]),
                math.sqrt(self.q_net_config.matrix_shapes[number][1]),
            )
        vector = number - matrices
        base = self.hyper_base_vectors[vector].unsqueeze(1)
        return _Head(
            *(keys, values, self.bias_query_embeddings[vector][0]),
            *(self.bias_hyper_projection[vector], base, 1.0),
        )

    def _produce(self, states: Tensor, pads: Tensor, number: int) -> Tensor:
        """One head's output for a padded batch, `[q, rows, width]`, differentiably."""
        head = self._head(number)
        # K Q^T rather than Q K^T: one product for the whole batch, the queries are the same.
        weights = torch.matmul(head.keys(states), head.queries.t()).div_(head.scale)
        weights = weights.masked_fill_(pads, -math.inf).softmax(1)
        context = torch.bmm(weights.transpose(1, 2), head.values(states))
        attended = F.layer_norm(context.relu_(), context.shape[-1:])
        return head.projection(attended).add_(head.base)

    def _produce_each(self, tokens: Sequence[Tensor], number: int) -> Tensor:
        """The same without gradients on a CPU, a query at a time: what it makes stays in the cache.

        Args:
            tokens: The states of each query, `[length, model_dim]`, without pads.
        """
        head = self._head(number)
        lengths = [len(one) for one in tokens]
        together = torch.cat(list(tokens))
        keys = head.keys(together)
        weights = self._packed_queries[number].product(keys, head.queries)
        weights = torch.mm(keys, head.queries.t()) if weights is None else weights
        each = zip(
            weights.div_(head.scale).split(lengths),
            head.values(together).split(lengths),
            strict=True,
        )
        rows, width = len(head.queries), head.base.shape[-1]
        produced = together.new_empty(len(tokens), rows, width)
        for out, (weight, value) in zip(produced, each, strict=True):
            context = torch.mm(weight.softmax(0).t(), value)
            attended = layer_norm(context.relu_())
            torch.add(head.projection(attended), head.base[0], out=out)
        return produced


class _Head(NamedTuple):
    """What one matrix or vector of the q-net is produced by."""

    keys: nn.Module
    values: nn.Module
    queries: Tensor
    projection: nn.Module
    base: Tensor
    scale: float


def _parameters(shapes: list[tuple[int, ...]]) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(torch.empty(shape)) for shape in shapes])


def _linears(shapes: list[tuple[int, int]]) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(inputs, outputs) for inputs, outputs in shapes])
