"""The Hypencoder: a hypernetwork for queries and a transformer for documents."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from hypserini.errors import ModelError
from hypserini.modeling.batch_scores import BatchScores
from hypserini.modeling.configuration import DualEncoderConfig, HypencoderConfig
from hypserini.modeling.hypernetwork import Hypernetwork
from hypserini.modeling.losses import similarity_losses
from hypserini.modeling.nested import shortened, shortened_config
from hypserini.modeling.pooling import pool
from hypserini.modeling.positions import positions_of
from hypserini.modeling.projections import make_projections, projected_width
from hypserini.modeling.q_net import QNet
from hypserini.modeling.q_net_config import QNetConfig
from hypserini.modeling.query_vector import QueryVector
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.modeling.transformer import make_transformer, vocabulary_size


@dataclass
class DualEncoderOutput(ModelOutput):
    """What one training step computes.

    Attributes:
        loss: the sum of the configured losses, or None.
        similarity: [q, items], every query with its own documents.
        losses: each configured loss by name, detached.
    """

    loss: Tensor | None = None
    similarity: Tensor | None = None
    losses: dict[str, Tensor] | None = None


class PassageEncoder(nn.Module):
    """A transformer and its pooling; a module of its own for the checkpoints' key names.

    Args:
        transformer: a transformers model with `last_hidden_state`.
        pooling: see `pooling.pool`.
        normalize: vectors get length 1.
        projections: what stands between the pooling and that, see `projections`.
    """

    def __init__(
        self,
        transformer: nn.Module,
        pooling: str,
        normalize: bool = False,
        projections: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.normalize = normalize
        self.described = projections or []
        pooled = self.base_config.hidden_size * len(pooling.split("+"))
        self.dim: int = projected_width(pooled, self.described)
        self.projections = make_projections(self.described)

    @property
    def base_config(self) -> PreTrainedConfig:
        """The transformer's own configuration."""
        return cast(PreTrainedModel, self.transformer).config

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode texts [n, length] into vectors [n, dim]; token_type_ids are never passed."""
        output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        vectors = pool(output.last_hidden_state, attention_mask, self.pooling)
        vectors = self.projections(vectors)
        return nn.functional.normalize(vectors, dim=-1) if self.normalize else vectors


class DualEncoder(PreTrainedModel):
    """What Hypencoders and bi-encoders have in common; `load_model` makes either.

    Attributes:
        query_encoder: a module that turns (input_ids, attention_mask) into a `QNet`.
        passage_encoder: a module that turns them into vectors [n, dim], or what is recorded of
            the one whose vectors are searched.
        tokenizer: the checkpoint's tokenizer, or None for a model made from a config.
        name: what the user called the model.
    """

    config_class: ClassVar[Any] = DualEncoderConfig
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    query_encoder: nn.Module
    passage_encoder: PassageEncoder | RecordedEncoder

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__(config)
        self.tokenizer: Any = None
        self.name: str = getattr(config, "name_or_path", "") or ""
        self._losses = similarity_losses(config.loss_type, cast(list, config.loss_kwargs))
        self._fingerprint: tuple[int, str] | None = None
        if config.shared_encoder:  # what may be left out of a file
            self._tied_weights_keys = {
                f"passage_encoder.{part}": f"query_encoder.{part}"
                for part in ("transformer", "projections")
            }

    def encode_queries(
        self, input_ids: Tensor, attention_mask: Tensor, blocks: int | None = None
    ) -> QNet:
        """Turn queries [q, length] into q q-nets, differentiably.

        With `blocks`, of a Hypencoder, into q-nets of so many hidden blocks (`nested`).
        """
        if blocks is None:
            return self.query_encoder(input_ids, attention_mask)
        return self.query_encoder(input_ids, attention_mask, blocks)

    @property
    def nested(self) -> list[int]:
        """Sizes of q-nets, in hidden blocks, that are trained beside the whole one."""
        return list((self.config.query_encoder_kwargs or {}).get("nested") or [])

    def encode_documents(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Turn documents [n, length] into vectors [n, dim], differentiably."""
        return self.passage_encoder(input_ids, attention_mask)

    def forward(
        self,
        query_input_ids: Tensor,
        query_attention_mask: Tensor,
        passage_input_ids: Tensor | None = None,
        passage_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        passage_vectors: Tensor | None = None,
    ) -> DualEncoderOutput:
        """Score q queries against their documents, and compute the configured losses.

        Args:
            query_input_ids: [q, length].
            query_attention_mask: [q, length], 0 at the pads.
            passage_input_ids: [q * items, length], query 0's documents first, positives first.
            passage_attention_mask: [q * items, length].
            labels: the teacher's scores [q, items], for the losses that need them.
            passage_vectors: [q * items, dim], documents' vectors that are there already, in place
                of `passage_input_ids` and `passage_attention_mask`.

        Returns:
            The loss (None without configured losses) and the similarity [q, items].
        """
        q_net = self.encode_queries(query_input_ids, query_attention_mask)
        if passage_vectors is not None:
            documents = passage_vectors.to(q_net.dtype)
        else:
            assert passage_input_ids is not None
            assert passage_attention_mask is not None
            documents = self.encode_documents(passage_input_ids, passage_attention_mask)
        scores = BatchScores(q_net, documents, training=self.training)
        sizes = [scores] + [
            BatchScores(shortened(q_net, blocks), documents, training=self.training)
            for blocks in self.nested
        ]
        losses = {
            name: torch.stack([loss(size, labels) for size in sizes]).sum()
            for name, loss in self._losses
        }
        return DualEncoderOutput(
            loss=torch.stack(list(losses.values())).sum() if losses else None,
            similarity=scores.own,
            losses={name: loss.detach() for name, loss in losses.items()},
        )

    @property
    def q_net_config(self) -> QNetConfig:
        """The whole q-net that a query becomes; a bi-encoder's has no hidden block."""
        return getattr(self.query_encoder, "q_net_config", QNetConfig((self.dim, 1)))

    @property
    def dim(self) -> int:
        """The dimension of the document vectors."""
        return self.passage_encoder.dim

    @property
    def pooling(self) -> str:
        """How token states become a document vector."""
        return self.passage_encoder.pooling

    @property
    def max_positions(self) -> int:
        """How many tokens the transformers can read; `positions.UNLIMITED` if any number."""
        return min(positions_of(transformer) for transformer in self.transformers)

    @property
    def vocabulary_size(self) -> int | None:
        """How many tokens the transformers know; None if they have no table of them."""
        sizes = [vocabulary_size(transformer) for transformer in self.transformers]
        return min((size for size in sizes if size is not None), default=None)

    @property
    def transformers(self) -> tuple[nn.Module, nn.Module]:
        """The queries' and the documents'; the same one twice where there is but one."""
        query = cast(nn.Module, self.query_encoder.transformer)
        if isinstance(self.passage_encoder, RecordedEncoder):
            return query, query
        return query, self.passage_encoder.transformer

    @property
    def query_max_length(self) -> int:
        """How many tokens a query is cut to by default, special ones included."""
        return min(self.config.query_max_length, self.max_positions)

    @property
    def document_max_length(self) -> int:
        """How many tokens a document is cut to, special ones included."""
        return min(self.config.document_max_length, self.max_positions)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what makes a document vector: the encoder's weights and the pooling.

        Equal for the same weights whatever file or number format they are kept in, as long as the
        format was changed by `load_model`; the index keeps it to know its model. What is put
        before a text is no part of it: the index keeps that as well.
        """
        parameters = list(self.passage_encoder.parameters())
        version = sum(parameter._version for parameter in parameters)
        if self._fingerprint is None or self._fingerprint[0] != version:
            self._fingerprint = (version, self._hash_documents())
        return self._fingerprint[1]

    def _hash_documents(self) -> str:
        if isinstance(self.passage_encoder, RecordedEncoder):
            return self.passage_encoder.fingerprint
        digest = hashlib.sha256(self.passage_encoder.pooling.encode())
        if self.passage_encoder.normalize:
            digest.update(b" normalized")
        if self.config.lower_case:
            digest.update(b" lower case")
        for name, weight in sorted(self.passage_encoder.transformer.named_parameters()):
            if name.startswith("pooler."):  # takes no part in the vectors, and some files lack it
                continue
            digest.update(name.encode())
            digest.update(weight.detach().cpu().float().contiguous().numpy().data)
        if self.passage_encoder.described:
            digest.update(json.dumps(self.passage_encoder.described, sort_keys=True).encode())
            for _, weight in sorted(self.passage_encoder.projections.named_parameters()):
                digest.update(weight.detach().cpu().float().contiguous().numpy().data)
        return digest.hexdigest()

    def cast(self, device: torch.device | str, dtype: torch.dtype) -> DualEncoder:
        """Move the model, keeping the fingerprint of its weights before they were rounded."""
        fingerprint = self.fingerprint
        exact = {name: buffer for name, buffer in self.named_buffers() if name.endswith("inv_freq")}
        self.to(device=device, dtype=dtype)
        for name, buffer in exact.items():
            # Angles of rotary positions: rounded, they would be off by more the farther a token is.
            path, _, own = name.rpartition(".")
            setattr(self.get_submodule(path), own, buffer.to(device))
        version = sum(parameter._version for parameter in self.passage_encoder.parameters())
        self._fingerprint = (version, fingerprint)
        return self

    def get_expanded_tied_weights_keys(self, all_submodels: bool = False) -> dict[str, str]:
        """Say which weights are one, {copy: original}: a shared document encoder's."""
        del all_submodels
        if not self.config.shared_encoder:
            return {}
        names = [name for name, _ in self.passage_encoder.named_parameters()]
        return {f"passage_encoder.{name}": f"query_encoder.{name}" for name in names}

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write config.json, model.safetensors and the tokenizer into a folder for `load_model`.

        One copy of shared weights is written, the query encoder's.
        """
        super().save_pretrained(save_directory, **kwargs)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)

    def _init_weights(self, module: nn.Module) -> None:
        """Do nothing: the hyper head initialises itself as the paper does."""


class HypencoderDualEncoder(DualEncoder):
    """The paper's model (arXiv 2502.05364).

    Args:
        config: needs `base_config`; `HypencoderConfig.from_base` makes a new one.
    """

    config_class: ClassVar[Any] = HypencoderConfig

    def __init__(self, config: HypencoderConfig) -> None:
        super().__init__(config)
        base = config.transformer_config()
        kwargs = config.query_encoder_kwargs or {}
        q_net = config.q_net_config
        width = kwargs.get("base_encoder_output_dim", base.hidden_size)
        own = None
        if q_net.add_query_vector:
            own = QueryVector(kwargs.get("query_vector") or {}, base.hidden_size, q_net.dim)
        self.query_encoder = Hypernetwork(make_transformer(base), q_net, width, own)
        if config.passage_vectors:
            self.passage_encoder = RecordedEncoder(config.passage_vectors, config.pooling)
        else:
            transformer = self.query_encoder.transformer
            if not config.shared_encoder:
                transformer = make_transformer(config.transformer_config(passage=True))
            self.passage_encoder = PassageEncoder(transformer, config.pooling, config.normalize)
        if self.query_encoder.q_net_config.dim != self.dim:
            raise ModelError(
                f"the q-net scores vectors of {self.query_encoder.q_net_config.dim} dimensions, "
                f"but the documents' have {self.dim}: mend vector_dimensions."
            )
        for blocks in self.nested:
            shortened_config(q_net, blocks)
        if kwargs.get("freeze_transformer"):
            self.query_encoder.transformer.requires_grad_(False)
        if (config.passage_encoder_kwargs or {}).get("freeze_transformer"):
            self.passage_encoder.requires_grad_(False)
        self.post_init()
