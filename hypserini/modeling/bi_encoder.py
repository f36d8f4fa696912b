"""The bi-encoder, served as a q-net without hidden layers whose weights are the query's vector."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from transformers import PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.configuration import DualEncoderConfig, base_config_dict
from hypserini.modeling.dual_encoder import DualEncoder, PassageEncoder
from hypserini.modeling.pooling import check_pooling
from hypserini.modeling.q_net import QNet
from hypserini.modeling.q_net_config import QNetConfig
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.modeling.transformer import make_transformer


class BiEncoderConfig(DualEncoderConfig):
    """The configuration of a bi-encoder.

    Attributes:
        projections: what stands behind the pooling, see `projections`.
        encodes: `queries` or `documents` if it is one half of a pair such as DPR's; "" for both.
    """

    model_type = "hypserini_bi_encoder"
    projections: list[dict[str, Any]] | None = None
    encodes: str = ""

    @property
    def query_pooling(self) -> str:
        """How queries are pooled."""
        return check_pooling((self.query_encoder_kwargs or {}).get("pooling_type", "cls"))

    @classmethod
    def from_base(
        cls,
        base: PreTrainedConfig,
        *,
        pooling: str = "cls",
        shared_encoder: bool = True,
        name: str = "",
        **kwargs: Any,
    ) -> BiEncoderConfig:
        """Make the configuration of a bi-encoder over one kind of transformer.

        Args:
            base: the transformer's configuration.
            pooling: for queries and documents, see `pooling.POOLINGS`.
            shared_encoder: one transformer for queries and documents.
            name: what the base model is called.
            kwargs: further fields of the config.
        """
        encoder = {"model_name_or_path": name, "pooling_type": pooling}
        return cls(
            query_encoder_kwargs=dict(encoder),
            passage_encoder_kwargs=dict(encoder),
            shared_encoder=shared_encoder,
            base_config=base_config_dict(base),
            **kwargs,
        )


class VectorQueryEncoder(PassageEncoder):
    """Turns a query into a q-net of one matrix [dim, 1]: the score is the dot product."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> QNet:  # type: ignore[override]
        """Turn queries [q, length] into q q-nets."""
        vectors = super().forward(input_ids, attention_mask)
        config = QNetConfig((vectors.shape[1], 1))
        return QNet(config, [vectors.unsqueeze(-1)], [])


class BiEncoder(DualEncoder):
    """Two encoders and a dot product: the paper's BE-Base, or any BERT-like encoder.

    Args:
        config: needs `base_config`; `BiEncoderConfig.from_base` makes a new one.
    """

    config_class: ClassVar[Any] = BiEncoderConfig

    def __init__(self, config: BiEncoderConfig) -> None:
        super().__init__(config)
        transformer = make_transformer(config.transformer_config())
        how = (config.normalize, config.projections)
        self.query_encoder = VectorQueryEncoder(transformer, config.query_pooling, *how)
        if config.passage_vectors:
            self.passage_encoder = RecordedEncoder(config.passage_vectors, config.pooling)
        else:
            if not config.shared_encoder:
                transformer = make_transformer(config.transformer_config(passage=True))
            self.passage_encoder = PassageEncoder(transformer, config.pooling, *how)
            if config.shared_encoder:
                self.passage_encoder.projections = self.query_encoder.projections
        if self.query_encoder.dim != self.dim:
            raise ModelError(
                f"the query encoder makes vectors of {self.query_encoder.dim} dimensions, and the "
                f"documents' have {self.dim}: a bi-encoder needs equal ones."
            )
        self.post_init()
