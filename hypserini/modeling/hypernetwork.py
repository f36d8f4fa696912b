"""The hypernetwork: a transformer over the query, and the hyper head that turns it into a q-net."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hypserini.modeling.q_net import QNet, q_net_class
from hypserini.modeling.q_net_config import QNetConfig

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
    """

    def __init__(self, transformer: nn.Module, config: QNetConfig, model_dim: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.q_net_config = config
        self._q_net_class = q_net_class(config.q_net_type)
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

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> QNet:
        """Turn queries into q-nets.

        Args:
            input_ids: [q, length] token ids.
            attention_mask: [q, length], 0 at the pads.
        """
        output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        return self.produce(output.last_hidden_state, attention_mask)

    def produce(self, states: Tensor, attention_mask: Tensor) -> QNet:
        """Turn token states [q, length, model_dim] into q-nets: the hyper head alone."""
        pads = (attention_mask == 0).unsqueeze(-1)
        matrices = []
        for i, (_, rows) in enumerate(self.q_net_config.matrix_shapes):
            # The scale is the root of the number of rows, not of the width that is summed over,
            # and so 1 for the output layer and all vectors: the paper's models were trained so.
            attended = self._attend(
                states, pads, i, self.weight_query_embeddings[i], math.sqrt(rows)
            )
            produced = self.weight_hyper_projection[i](attended).add_(self.hyper_base_matrices[i])
            matrices.append(produced.transpose(1, 2))
        vectors = []
        for i in range(len(self.q_net_config.vector_sizes)):
            attended = self._attend(
                states, pads, i + len(matrices), self.bias_query_embeddings[i], 1.0
            )
            produced = self.bias_hyper_projection[i](attended).add_(self.hyper_base_vectors[i])
            vectors.append(produced.squeeze(1))
        return self._q_net_class(self.q_net_config, matrices, vectors)

    def _attend(
        self, states: Tensor, pads: Tensor, head: int, queries: Tensor, scale: float
    ) -> Tensor:
        """Return LN(relu(softmax(Q K^T / s) V)), [q, rows, width], of one head."""
        keys = self.key_projections[head](states)
        values = self.value_projections[head](states)
        # K Q^T rather than Q K^T: one product for the whole batch, the queries are the same.
        weights = torch.matmul(keys, queries[0].t()).div_(scale).masked_fill_(pads, -math.inf)
        context = torch.bmm(weights.softmax(1).transpose(1, 2), values)
        return F.layer_norm(context.relu_(), context.shape[-1:])


def _parameters(shapes: list[tuple[int, ...]]) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(torch.empty(shape)) for shape in shapes])


def _linears(shapes: list[tuple[int, int]]) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(inputs, outputs) for inputs, outputs in shapes])
