"""The configurations of the dual encoders: the paper's config.json, and what it leaves out."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.pooling import check_pooling
from hypserini.modeling.q_net import q_net_config
from hypserini.modeling.q_net_config import QNetConfig
from hypserini.modeling.safe_config import transformer_config

QUERY_MAX_LENGTH = 32
DOCUMENT_MAX_LENGTH = 512


class DualEncoderConfig(PreTrainedConfig):
    """What a checkpoint's config.json says, in the paper's keys, and `base_config` beside them.

    Attributes:
        query_encoder_kwargs: `model_name_or_path`, `converter_kwargs` (a `QNetConfig`), ...
        passage_encoder_kwargs: `model_name_or_path`, `pooling_type`, ...
        loss_type: names of the training losses; a single string in older files.
        loss_kwargs: their arguments; a single dict in older files.
        shared_encoder: queries and documents go through one transformer.
        base_config: the query transformer's own configuration as a dict, so that loading needs
            neither the hub nor the base model's files; None in the paper's checkpoints.
        passage_base_config: the document transformer's where it differs.
        normalize: document vectors get length 1, and a bi-encoder's query vectors as well.
        query_prefix: put before every query.
        document_prefix: put before every document.
        lower_case: texts are lowered before the tokenizer sees them.
        query_max_length: tokens that a query is cut to.
        document_max_length: tokens that a document is cut to.
        passage_vectors: of a model that was trained over vectors, the encoder that made them
            (`recorded`); there is then no document encoder.
    """

    query_encoder_type: str = ""
    passage_encoder_type: str = ""
    query_encoder_kwargs: dict[str, Any] | None = None
    passage_encoder_kwargs: dict[str, Any] | None = None
    loss_type: list[str] | str = ""
    loss_kwargs: list[dict[str, Any]] | dict[str, Any] | None = None
    shared_encoder: bool = False
    base_config: dict[str, Any] | None = None
    passage_base_config: dict[str, Any] | None = None
    normalize: bool = False
    query_prefix: str = ""
    document_prefix: str = ""
    lower_case: bool = False
    query_max_length: int = QUERY_MAX_LENGTH
    document_max_length: int = DOCUMENT_MAX_LENGTH
    passage_vectors: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Give older spellings their present form.

        Raises:
            ModelError: there are not as many `loss_kwargs` as losses.
        """
        self.query_encoder_kwargs = self.query_encoder_kwargs or {}
        self.passage_encoder_kwargs = self.passage_encoder_kwargs or {}
        if isinstance(self.loss_type, str):
            self.loss_type = [self.loss_type] if self.loss_type else []
        if self.loss_kwargs is None:
            self.loss_kwargs = [{} for _ in self.loss_type]
        elif isinstance(self.loss_kwargs, dict):
            self.loss_kwargs = [self.loss_kwargs] if self.loss_type else []
        if len(self.loss_type) != len(self.loss_kwargs):
            raise ModelError(
                f"the model's config has {len(self.loss_type)} loss_type but "
                f"{len(self.loss_kwargs)} loss_kwargs: give one for each."
            )
        if self.passage_vectors and self.shared_encoder:
            raise ModelError(
                "the model's config has passage_vectors and shared_encoder, but no document "
                "encoder is there to be shared: set shared_encoder to false."
            )
        super().__post_init__(**kwargs)

    @property
    def pooling(self) -> str:
        """How documents are pooled."""
        return check_pooling((self.passage_encoder_kwargs or {}).get("pooling_type", "cls"))

    def transformer_config(self, passage: bool = False) -> PreTrainedConfig:
        """The configuration of the query's transformer, or of the document's.

        Raises:
            ModelError: there is none, or its model_type is unknown to transformers.
        """
        values = (self.passage_base_config if passage else None) or self.base_config
        if values is None:
            raise ModelError(
                "the model's config has no base_config: load it with hypserini.load_model, "
                "which finds it."
            )
        return transformer_config(values, "the model's base_config")


class HypencoderConfig(DualEncoderConfig):
    """The configuration of a Hypencoder."""

    model_type = "hypencoder"

    @property
    def q_net_config(self) -> QNetConfig:
        """The q-net that the hypernetwork produces.

        Raises:
            ModelError: `converter_kwargs` is missing or describes no q-net.
        """
        kwargs = (self.query_encoder_kwargs or {}).get("converter_kwargs")
        if not kwargs:
            raise ModelError("the model's query_encoder_kwargs have no converter_kwargs (q-net).")
        return q_net_config(kwargs)

    @classmethod
    def from_base(
        cls,
        base: PreTrainedConfig,
        q_net: QNetConfig | int = 6,
        *,
        pooling: str = "cls",
        shared_encoder: bool = True,
        name: str = "",
        **kwargs: Any,
    ) -> HypencoderConfig:
        """Make the configuration of a new Hypencoder.

        Args:
            base: the transformers' configuration, for example a `BertConfig`.
            q_net: the q-net, or its number of hidden blocks, all as wide as the transformer.
            pooling: `cls` or `mean`.
            shared_encoder: one transformer for queries and documents.
            name: what the base model is called.
            kwargs: `normalize`, `loss_type`, `loss_kwargs`, `query_max_length`,
                `document_max_length`.
        """
        if isinstance(q_net, int):
            q_net = QNetConfig((base.hidden_size,) * (q_net + 1) + (1,))
        return cls(
            query_encoder_kwargs={
                "model_name_or_path": name,
                "freeze_transformer": False,
                "embedding_representation": None,
                "base_encoder_output_dim": base.hidden_size,
                "converter_kwargs": q_net.to_dict(),
            },
            passage_encoder_kwargs={
                "model_name_or_path": name,
                "pooling_type": pooling,
                "freeze_transformer": False,
            },
            shared_encoder=shared_encoder,
            base_config=base_config_dict(base),
            **kwargs,
        )


def base_config_dict(config: PreTrainedConfig) -> dict[str, Any]:
    """A transformer's configuration as a dict that `DualEncoderConfig.base_config` can hold."""
    values = config.to_diff_dict()
    for key in ("transformers_version", "architectures", "dtype", "_name_or_path"):
        values.pop(key, None)
    return {"model_type": config.model_type, **values}
