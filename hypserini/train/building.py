"""The model that a training configuration describes, with its first weights."""

from __future__ import annotations

import logging
from typing import Any

from hypserini.errors import ModelError, TrainingError
from hypserini.modeling import DualEncoder, HypencoderDualEncoder, QNetConfig, load_model
from hypserini.modeling.bi_encoder import BiEncoder, BiEncoderConfig
from hypserini.modeling.configuration import HypencoderConfig
from hypserini.modeling.hypernetwork import Hypernetwork
from hypserini.train.config import ModelSection, TrainingConfig
from hypserini.train.initialization import begin_as_bi_encoder, insert_identity_layers

logger = logging.getLogger(__name__)

HEAD_INITIALIZATIONS = ("paper", "bi-encoder")


def build_model(config: TrainingConfig) -> DualEncoder:
    """Make the model to train, on the CPU, with its tokenizer and losses.

    Raises:
        TrainingError: a value of the configuration cannot be used.
        ModelError: a model that it names cannot be loaded.
    """
    section, data = config.model_config, config.data_config
    lengths: dict[str, Any] = {
        "query_max_length": data.query_max_length,
        "document_max_length": data.document_max_length,
        "loss_type": section.loss_type,
        "loss_kwargs": section.loss_kwargs,
    }
    if section.checkpoint_path:
        model = _from_checkpoint(section.checkpoint_path, lengths)
    else:
        model = _from_base(section, lengths, config.source)
    if model.tokenizer is None:
        raise TrainingError(
            f"{config.source}: no tokenizer; name one as tokenizer_pretrained_model_name_or_path."
        )
    if not model.config.loss_type:
        raise TrainingError(f"{config.source}: model_config names no loss_type.")
    return model


def _from_checkpoint(path: str, lengths: dict[str, Any]) -> DualEncoder:
    loaded = load_model(path, device="cpu")
    for key, value in lengths.items():
        setattr(loaded.config, key, value)
    # The losses are made with the model, so it is made once more around the same weights.
    loaded.config.__post_init__()
    model = type(loaded)(loaded.config)
    model.load_state_dict(loaded.state_dict())
    model.tokenizer = loaded.tokenizer
    return model


def _from_base(section: ModelSection, lengths: dict[str, Any], source: str) -> DualEncoder:
    if section.head_initialization not in HEAD_INITIALIZATIONS:
        raise TrainingError(
            f"{source}: head_initialization is {section.head_initialization!r}: "
            f"use one of {', '.join(HEAD_INITIALIZATIONS)}."
        )
    name = section.query_encoder_kwargs.get("model_name_or_path") or ""
    pretrained = None
    if section.base_config is None and not (section.initial_weights or name):
        raise TrainingError(
            f"{source}: model_config needs checkpoint_path, base_config, or a "
            "model_name_or_path in query_encoder_kwargs."
        )
    if weights := section.initial_weights or (name if section.base_config is None else None):
        pretrained = load_model(weights, device="cpu")
    base = _base_config(section, pretrained, source)
    pooling = section.passage_encoder_kwargs.get("pooling_type", "cls")
    shared: dict[str, Any] = {
        "pooling": pooling,
        "shared_encoder": section.shared_encoder,
        "name": name,
        **lengths,
    }
    model: DualEncoder
    if section.model_type == "hypencoder":
        kwargs = section.query_encoder_kwargs.get("converter_kwargs")
        q_net: QNetConfig | int = QNetConfig.from_dict(kwargs) if kwargs else 6
        model = HypencoderDualEncoder(HypencoderConfig.from_base(base, q_net, **shared))
        if section.head_initialization == "bi-encoder":
            assert isinstance(model.query_encoder, Hypernetwork)
            begin_as_bi_encoder(model.query_encoder)
    elif section.model_type == "biencoder":
        model = BiEncoder(BiEncoderConfig.from_base(base, normalize=section.normalize, **shared))
    else:
        raise TrainingError(
            f"{source}: model_type is {section.model_type!r}: use hypencoder or biencoder."
        )
    if pretrained is not None:
        _copy_transformer(pretrained, model)
    model.tokenizer = _tokenizer(section, pretrained)
    return model


def _base_config(section: ModelSection, pretrained: DualEncoder | None, source: str) -> Any:
    from transformers import AutoConfig

    if section.base_config is None:
        assert pretrained is not None
        return pretrained.passage_encoder.transformer.config
    values = dict(section.base_config)
    try:
        return AutoConfig.for_model(values.pop("model_type", "bert"), **values)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{source}: base_config cannot be used: {error}") from error


def _copy_transformer(pretrained: DualEncoder, model: DualEncoder) -> None:
    """Give the transformers of `model` the weights that the pretrained one has, where they fit."""
    weights = pretrained.passage_encoder.transformer.state_dict()
    for encoder in (model.query_encoder, model.passage_encoder):
        transformer: Any = encoder.transformer
        own = transformer.state_dict()
        fitting = {k: w for k, w in weights.items() if k in own and own[k].shape == w.shape}
        if not fitting:
            raise ModelError(
                f"none of the weights of {pretrained.name} fit the transformer to be trained: "
                "its width or kind is another."
            )
        transformer.load_state_dict(fitting, strict=False)
        if _is_without_layers(pretrained.passage_encoder.transformer) and not (
            _is_without_layers(transformer)
        ):
            insert_identity_layers(transformer)
        if model.config.shared_encoder:
            break
    logger.info("%d of %d tensors begin as those of %s.", len(fitting), len(own), pretrained.name)


def _is_without_layers(transformer: Any) -> bool:
    return getattr(transformer.config, "num_hidden_layers", None) == 0


def _tokenizer(section: ModelSection, pretrained: DualEncoder | None) -> Any:
    named = section.tokenizer_pretrained_model_name_or_path
    if named is None:
        return pretrained.tokenizer if pretrained is not None else None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(named)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the tokenizer {named} cannot be loaded: {error}") from error
