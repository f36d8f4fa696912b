"""The q-net, the small network that a query becomes, and the registry of its kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling.gradient import gradient_apart, gradient_autograd, gradient_dense
from hypserini.modeling.q_net_config import QNetConfig
from hypserini.modeling.recompute import score_differentiably
from hypserini.modeling.scoring import (
    Packed,
    layer_norm,
    products,
    score_dense,
    score_groups_dense,
)

ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu,
}
ACTIVATION_IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu_,
}


class QNet:
    """The weights of a batch of q-nets, one a query, and how they score.

    A hidden block computes `x = LN(act(x W + b)) + x`, the output is `x w` (arXiv 2502.05364,
    section 3.2; the options are in `QNetConfig`). A custom q-net is a subclass that overrides
    `forward`, and with it `score` uses that. With `add_query_vector` the score is that of the
    network plus `q x`, the inner product with a vector of the query.

    Args:
        config: shape and options.
        matrices: one tensor [q, in, out] for each of `config.matrix_shapes`.
        vectors: one tensor [q, out] for each of `config.vector_sizes`.
        query_vectors: [q, dim], if `config.add_query_vector`.

    Raises:
        ModelError: a tensor has another shape than the config says.
    """

    config_class: ClassVar[type[QNetConfig]] = QNetConfig

    def __init__(
        self,
        config: QNetConfig,
        matrices: Sequence[Tensor],
        vectors: Sequence[Tensor],
        query_vectors: Tensor | None = None,
    ) -> None:
        self.config = config
        self.matrices = list(matrices)
        self.vectors = list(vectors)
        self.query_vectors = query_vectors
        self._packed = Packed()
        wanted = config.part_shapes
        given = self.parts()
        if len(given) != len(wanted):
            raise ModelError(f"a q-net of {len(wanted)} tensors was given {len(given)}.")
        queries = len(given[0])
        for name, tensor, shape in zip(_names(config), given, wanted, strict=True):
            if tuple(tensor.shape) != (queries, *shape):
                raise ModelError(
                    f"{name} of the q-net has the shape {list(tensor.shape)}, "
                    f"not {[queries, *shape]}."
                )

    # A batch of q-nets is a sequence.

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.matrices[0])

    def __getitem__(self, which: int | slice | Sequence[int] | Tensor) -> QNet:
        """The q-nets of some queries, as a view where torch can: `qn[2]` is a batch of one."""
        index: slice | Tensor
        if isinstance(which, int):
            if not -len(self) <= which < len(self):
                raise IndexError(f"query {which} of {len(self)}")
            index = slice(which, which + 1 or None)
        elif isinstance(which, slice):
            index = which
        else:
            index = torch.as_tensor(which, device=self.device)
        return self._like(lambda tensor: tensor[index])

    def __iter__(self) -> Iterator[QNet]:
        return (self[i] for i in range(len(self)))

    @staticmethod
    def cat(parts: Sequence[QNet]) -> QNet:
        """Join batches of q-nets of one kind into one batch, in the order given."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        given = zip(*(part.parts() for part in parts), strict=True)
        return type(first).of_parts(first.config, [torch.cat(same) for same in given])

    def parts(self) -> list[Tensor]:
        """All tensors, in the order of their names."""
        own = [] if self.query_vectors is None else [self.query_vectors]
        return [*self.matrices, *self.vectors, *own]

    @classmethod
    def of_parts(cls, config: QNetConfig, given: Sequence[Tensor]) -> QNet:
        """The q-nets of what `parts` gives."""
        first = len(config.matrix_shapes)
        end = first + len(config.vector_sizes)
        # A subclass of the user's own may take no more than the first three.
        own = given[end : end + config.add_query_vector]
        return cls(config, given[:first], given[first:end], *own)

    def _like(self, change: Callable[[Tensor], Tensor]) -> QNet:
        return self.of_parts(self.config, [change(tensor) for tensor in self.parts()])

    # Where the weights are, and their names.

    @property
    def dim(self) -> int:
        """The dimension of the document vectors that these q-nets score."""
        return self.config.dim

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.matrices[0].device

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights and of the arithmetic."""
        return self.matrices[0].dtype

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> QNet:
        """The same q-nets on another device or in another number format (views where it can)."""
        return self._like(lambda tensor: tensor.to(device=device, dtype=dtype))

    def detach(self) -> QNet:
        """The same q-nets without the history that autograd needs."""
        return self._like(Tensor.detach)

    def activation_(self, x: Tensor) -> Tensor:
        """Apply the activation function of the hidden blocks, in place where torch can."""
        return ACTIVATION_IN_PLACE[self.config.activation_type](x)

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """The activation function of the hidden blocks."""
        return ACTIVATION[self.config.activation_type]

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name, contiguous: `matrix_i` [q, in, out] and `vector_i` [q, out].

        And `query_vector` [q, dim], if there is one.
        """
        given = [tensor.contiguous() for tensor in self.parts()]
        return dict(zip(_names(self.config), given, strict=True))

    @staticmethod
    def from_tensors(config: QNetConfig, tensors: Mapping[str, Tensor]) -> QNet:
        """Rebuild what `tensors` gave, as the class that `config.q_net_type` names.

        Raises:
            ModelError: a tensor is missing or has another shape than the config says.
        """
        try:
            given = [tensors[name] for name in _names(config)]
        except KeyError as error:
            raise ModelError(f"the q-net lacks its tensor {error.args[0]}.") from error
        return q_net_class(config.q_net_type).of_parts(config, given)

    def check_finite(self, qids: Sequence[str]) -> None:
        """Raise ModelError naming the first query whose q-net holds NaN or infinity.

        Args:
            qids: the queries' ids, as many as there are q-nets.
        """
        finite = torch.ones(len(self), dtype=torch.bool, device=self.device)
        for tensor in self.parts():
            # A sum is finite only if all its terms are: one pass, no mask as large as the weights.
            finite &= tensor.flatten(1).sum(1, dtype=torch.float32).isfinite()
        if not bool(finite.all()):
            bad = int((~finite).nonzero()[0])
            raise ModelError(
                f"the q-net of query {qids[bad]} holds NaN or infinity: "
                f"check the model's weights, or use --dtype float32."
            )

    # Scoring.

    def __call__(self, x: Tensor, training: bool = False) -> Tensor:
        """Score documents, differentiably; where they are many, in little memory (`recompute`).

        Args:
            x: document vectors, [n, dim] to be scored by every q-net or [q, n, dim], q groups.
            training: apply dropout where the config asks for it.

        Returns:
            [q, n] scores in the q-net's dtype.
        """
        if self.query_vectors is None:
            return score_differentiably(self, x, training)
        plain = replace(self.config, add_query_vector=False)
        network = type(self)(plain, self.matrices, self.vectors)
        return score_differentiably(network, x, training) + _products(self.query_vectors, x)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Compute the scores [q, n] of `x` [n, dim] or [q, n, dim]; what a custom q-net overrides.

        It must be built of torch operations that autograd can follow. The inner product with the
        query's own vector, if there is one, is added to what it returns.
        """
        config = self.config
        if not self.vectors and x.dim() == 2:  # dot products with one vector a query
            return torch.mm(self.matrices[0].squeeze(-1), x.t())
        x = x.expand(len(self), *x.shape[-2:])
        for block, bias in enumerate(self.vectors):
            y = x
            if config.do_dropout and training:
                y = F.dropout(y, config.dropout_prob)
            y = self.activation(torch.baddbmm(bias.unsqueeze(1), y, self.matrices[block]))
            if config.do_layer_norm and config.layer_norm_before_residual:
                y = layer_norm(y)
            if config.has_residual(block):
                y = y + x
            if config.do_layer_norm and not config.layer_norm_before_residual:
                y = layer_norm(y)
            x = y
        return torch.bmm(x, self.matrices[-1]).squeeze(-1)

    @torch.no_grad()
    def score(self, block: Tensor, out: Tensor | None = None) -> Tensor:
        """Score one block of documents for all queries, fast: the inner loop of every search.

        Several threads may score with the same q-nets. On a CPU, large q-nets that score many
        blocks keep a copy of their weights in the layout that multiplies fastest.

        Args:
            block: [n, dim] document vectors of any dtype and device.
            out: [q, n] float32 on any device to write to; its strides are free.

        Returns:
            `out`, or a new [q, n] float32 tensor on the q-nets' device.
        """
        block = block.to(device=self.device, dtype=self.dtype)
        if out is None:
            out = torch.empty(len(self), len(block), device=self.device)
        if type(self).forward is QNet.forward:
            score_dense(self, block, out, self._packed)
        else:
            out.copy_(self.forward(block, training=False))
        if self.query_vectors is not None:
            out += products(self.query_vectors, block).to(out.device)
        return out

    @torch.no_grad()
    def score_groups(self, points: Tensor) -> Tensor:
        """Score for each query some documents of its own.

        Args:
            points: [q, n, dim] document vectors of any dtype and device.

        Returns:
            [q, n] float32 on the q-nets' device.
        """
        points = points.to(device=self.device, dtype=self.dtype)
        if self.device.type == "cpu":  # one after the other, as `score` rounds
            each = [one.score(own) for one, own in zip(self, points, strict=True)]
            return torch.cat(each) if each else points.new_empty(points.shape[:2]).float()
        dense = type(self).forward is QNet.forward
        found = (
            score_groups_dense(self, points)
            if dense
            else self.forward(points, training=False).float()
        )
        if self.query_vectors is not None:
            found += _products(self.query_vectors.float(), points.float())
        return found

    def gradient(self, points: Tensor) -> Tensor:
        """The gradient of the score with respect to the document vector.

        Args:
            points: [m, dim] document vectors, the same for every query, or [q, m, dim].

        Returns:
            [q, m, dim] in the q-nets' dtype: at each point, the direction in which the query's
            score grows fastest.
        """
        return self._scores_and_gradients(points, mean=False)[1]

    def tangent(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The scores at some points, and the mean of the gradients there.

        Args:
            points: [m, dim] document vectors, the same for every query, or [q, m, dim].

        Returns:
            [q, m] and [q, dim], in the q-nets' dtype.
        """
        scores, gradients = self._scores_and_gradients(points, mean=True)
        return scores, gradients[:, 0]

    @torch.no_grad()
    def _scores_and_gradients(self, points: Tensor, mean: bool) -> tuple[Tensor, Tensor]:
        points = points.to(device=self.device, dtype=self.dtype)
        points = points.expand(len(self), *points.shape[-2:])
        scores, gradients = self._of_the_network(points, mean)
        if self.query_vectors is not None:
            scores = scores + _products(self.query_vectors, points)
            gradients = gradients + self.query_vectors.unsqueeze(1)
        return scores, gradients

    def _of_the_network(self, points: Tensor, mean: bool) -> tuple[Tensor, Tensor]:
        if type(self).forward is not QNet.forward:
            return gradient_autograd(self, points, mean)
        if self.device.type == "cpu":
            return gradient_apart(self, points, mean)
        return gradient_dense(self, points, mean)


def _names(config: QNetConfig) -> list[str]:
    """What the tensors of a q-net are called."""
    matrices = [f"matrix_{i}" for i in range(len(config.matrix_shapes))]
    vectors = [f"vector_{i}" for i in range(len(config.vector_sizes))]
    return [*matrices, *vectors, *["query_vector"] * config.add_query_vector]


def _products(query_vectors: Tensor, x: Tensor) -> Tensor:
    """The inner products [q, n] of `query_vectors` [q, dim] with `x` [n, dim] or [q, n, dim]."""
    if x.dim() == 2:
        return torch.mm(query_vectors, x.t())
    return torch.bmm(x, query_vectors.unsqueeze(-1)).squeeze(-1)


DENSE_BLOCKS = "dense_blocks"
"""The paper's own kind."""

_CLASSES: dict[str, type[QNet]] = {DENSE_BLOCKS: QNet}


def register_q_net(name: str, cls: type[QNet]) -> None:
    """Make `cls` the q-net of every config whose `q_net_type` is `name`.

    Args:
        name: how configs and checkpoints call it.
        cls: a subclass of `QNet` with a `forward`; its `config_class` says what the hypernetwork
            produces for it.

    Raises:
        ModelError: the name belongs to another class.
    """
    if _CLASSES.setdefault(name, cls) is not cls:
        raise ModelError(
            f"the q-net name {name!r} belongs to {_CLASSES[name].__name__}: choose another name."
        )


def q_net_class(name: str) -> type[QNet]:
    """The class registered as `name`.

    Raises:
        ModelError: no class is.
    """
    if name not in _CLASSES:
        raise ModelError(
            f"unknown q_net_type {name!r}: known are {', '.join(sorted(_CLASSES))}; "
            f"register your own with hypserini.register_q_net before loading the model."
        )
    return _CLASSES[name]


def q_net_config(values: Mapping[str, Any]) -> QNetConfig:
    """The config of the kind that a checkpoint's `converter_kwargs` name by `q_net_type`.

    Raises:
        ModelError: as `q_net_class` and `QNetConfig.from_dict`.
    """
    kind = values.get("q_net_type", DENSE_BLOCKS)
    return q_net_class(kind).config_class.from_dict(values)
