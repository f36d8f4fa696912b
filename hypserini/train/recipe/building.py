"""The model that a training configuration describes, with its first weights."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from hypserini.errors import ModelError, TrainingError
from hypserini.modeling import (
    DualEncoder,
    HypencoderDualEncoder,
    QNetConfig,
    load_model,
    q_net_config,
)
from hypserini.modeling.bi_encoder import BiEncoder, BiEncoderConfig
from hypserini.modeling.configuration import HypencoderConfig, base_config_dict
from hypserini.modeling.hypernetwork import Hypernetwork
from hypserini.settings import EncodingSettings
from hypserini.train.recipe.config import ModelSection, TrainingConfig, check_keys
from hypserini.train.recipe.initialization import begin_as_bi_encoder, insert_identity_layers
from hypserini.train.recipe.numbers import BASE, checked_numbers

logger = logging.getLogger(__name__)

MODEL_TYPES = ("hypencoder", "biencoder")
HEAD_INITIALIZATIONS = ("paper", "bi-encoder")

_ENCODER_KEYS = ("model_name_or_path", "freeze_transformer", "pooling_type")
_QUERY_KEYS = (
    *_ENCODER_KEYS,
    "embedding_representation",
    "base_encoder_output_dim",
    "converter_kwargs",
)


class _Base(NamedTuple):
    """A transformer to begin with: its configuration, and where its weights come from, if any."""

    config: Any
    pretrained: DualEncoder | None


def build_model(config: TrainingConfig) -> DualEncoder:
    """Make the model to train, on the CPU, with its tokenizer and losses.

    Raises:
        TrainingError: a value of the configuration cannot be used.
        ModelError: a model that it names cannot be loaded.
    """
    section, data = config.model_config, config.data_config
    _check(section, config.source)
    lengths: dict[str, Any] = {
        "query_max_length": data.query_max_length,
        "document_max_length": data.document_max_length,
        "loss_type": section.loss_type,
        "loss_kwargs": section.loss_kwargs,
    }
    if section.checkpoint_path:
        model = _from_checkpoint(section, lengths)
    else:
        model = _from_base(section, lengths, config.source)
    if model.tokenizer is None:
        raise TrainingError(
            f"{config.source}: no tokenizer; name one as tokenizer_pretrained_model_name_or_path."
        )
    if not model.config.loss_type:
        raise TrainingError(f"{config.source}: model_config names no loss_type.")
    _freeze(model, section, config.source)
    return model


def _check(section: ModelSection, source: str) -> None:
    """Check what can be told without loading anything."""
    where = f"{source}, model_config"
    for name, value, known in (
        ("model_type", section.model_type, MODEL_TYPES),
        ("head_initialization", section.head_initialization, HEAD_INITIALIZATIONS),
    ):
        if value not in known:
            raise TrainingError(f"{where}: {name} is {value!r}: use one of {', '.join(known)}.")
    for name, kwargs, keys in (
        ("query_encoder_kwargs", section.query_encoder_kwargs, _QUERY_KEYS),
        ("passage_encoder_kwargs", section.passage_encoder_kwargs, _ENCODER_KEYS),
    ):
        if not isinstance(kwargs, dict):
            raise TrainingError(f"{where}: {name} is no mapping.")
        check_keys(kwargs, keys, f"{where}, {name}")
    if section.query_encoder_kwargs.get("embedding_representation") is not None:
        logger.info("embedding_representation has no effect: no loss takes it.")


def _from_checkpoint(section: ModelSection, lengths: dict[str, Any]) -> DualEncoder:
    assert section.checkpoint_path is not None
    loaded = load_model(section.checkpoint_path, device="cpu")
    for key, value in lengths.items():
        setattr(loaded.config, key, value)
    # The losses are made with the model, so it is made once more around the same weights.
    loaded.config.__post_init__()
    model = type(loaded)(loaded.config)
    model.load_state_dict(loaded.state_dict())
    model.tokenizer = loaded.tokenizer
    return model


def _from_base(section: ModelSection, lengths: dict[str, Any], source: str) -> DualEncoder:
    query, passage = section.query_encoder_kwargs, section.passage_encoder_kwargs
    names = [query.get("model_name_or_path") or "", passage.get("model_name_or_path") or ""]
    names = [name or names[1 - side] for side, name in enumerate(names)]
    if section.shared_encoder and names[0] != names[1]:
        raise TrainingError(
            f"{source}, model_config: shared_encoder is true, but queries begin as {names[0]} and "
            f"documents as {names[1]}: name one model, or set shared_encoder to false."
        )
    bases = [_base(section, names[0], source)]
    bases.append(bases[0] if names[0] == names[1] else _base(section, names[1], source))
    model = _make(section, bases, names, lengths, source)
    for base, encoder in zip(bases, (model.query_encoder, model.passage_encoder), strict=True):
        if base.pretrained is not None:
            _copy_transformer(base.pretrained, encoder.transformer)
        if section.shared_encoder:
            break
    if section.head_initialization == "bi-encoder" and isinstance(
        model.query_encoder, Hypernetwork
    ):
        begin_as_bi_encoder(model.query_encoder)
    model.tokenizer = _tokenizer(section, bases[0].pretrained)
    if bases[0].pretrained is not None and model.tokenizer is bases[0].pretrained.tokenizer:
        model.config.lower_case = bases[0].pretrained.config.lower_case
    return model


def _base(section: ModelSection, name: str, source: str) -> _Base:
    """Load one side's transformer, or only make its configuration."""
    if section.base_config is None and not (section.initial_weights or name):
        raise TrainingError(
            f"{source}: model_config needs checkpoint_path, base_config, or a "
            "model_name_or_path in query_encoder_kwargs."
        )
    weights = section.initial_weights or (name if section.base_config is None else None)
    # Only its transformer is taken, and how that is pooled the configuration says.
    pooling = section.passage_encoder_kwargs.get("pooling_type", "cls")
    settings = EncodingSettings(pooling=pooling)
    pretrained = load_model(weights, device="cpu", settings=settings) if weights else None
    if section.base_config is None:
        assert pretrained is not None
        return _Base(pretrained.passage_encoder.base_config, pretrained)
    from transformers import AutoConfig

    values = dict(section.base_config)
    values |= checked_numbers(values, BASE, f"{source}, model_config, base_config")
    try:
        config = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{source}: base_config cannot be used: {error}") from error
    return _Base(config, pretrained)


def _make(
    section: ModelSection,
    bases: list[_Base],
    names: list[str],
    lengths: dict[str, Any],
    source: str,
) -> DualEncoder:
    """Make the model with new weights throughout, as the paper does."""
    query, passage = section.query_encoder_kwargs, section.passage_encoder_kwargs
    base = bases[0].config
    pooling = passage.get("pooling_type", "cls")
    shared: dict[str, Any] = {
        "pooling": pooling,
        "shared_encoder": section.shared_encoder,
        "name": names[0],
        "normalize": section.normalize,
        **_prefixes(bases),
        **lengths,
    }
    width = query.get("base_encoder_output_dim")
    if width is not None and width != base.hidden_size:
        raise TrainingError(
            f"{source}, model_config: base_encoder_output_dim is {width}, but the encoder's states "
            f"have {base.hidden_size} dimensions: mend it, or leave it out."
        )
    config: HypencoderConfig | BiEncoderConfig
    if section.model_type == "hypencoder":
        kwargs = query.get("converter_kwargs")
        q_net: QNetConfig | int = q_net_config(kwargs) if kwargs else 6
        config = HypencoderConfig.from_base(base, q_net, **shared)
    else:
        config = BiEncoderConfig.from_base(base, **shared)
        assert config.query_encoder_kwargs is not None
        config.query_encoder_kwargs["pooling_type"] = query.get("pooling_type", pooling)
    if names[1] != names[0]:
        assert config.passage_encoder_kwargs is not None
        config.passage_encoder_kwargs["model_name_or_path"] = names[1]
        config.passage_base_config = base_config_dict(bases[1].config)
    if isinstance(config, HypencoderConfig):
        return HypencoderDualEncoder(config)
    return BiEncoder(config)


def _prefixes(bases: list[_Base]) -> dict[str, str]:
    """What the pretrained models put before their texts: what is trained on them does the same."""
    query, document = (base.pretrained.config if base.pretrained else None for base in bases)
    return {
        "query_prefix": query.query_prefix if query else "",
        "document_prefix": document.document_prefix if document else "",
    }


def _copy_transformer(pretrained: DualEncoder, transformer: Any) -> None:
    """Give a transformer the weights that the pretrained one has, where they fit."""
    weights = pretrained.passage_encoder.transformer.state_dict()
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
    logger.info("%d of %d tensors begin as those of %s.", len(fitting), len(own), pretrained.name)


def _is_without_layers(transformer: Any) -> bool:
    return getattr(transformer.config, "num_hidden_layers", None) == 0


def _freeze(model: DualEncoder, section: ModelSection, source: str) -> None:
    """Leave out of the training what the user freezes, and what takes no part in the scores."""
    sides = (
        (model.query_encoder, model.config.query_encoder_kwargs, section.query_encoder_kwargs),
        (
            model.passage_encoder,
            model.config.passage_encoder_kwargs,
            section.passage_encoder_kwargs,
        ),
    )
    model.requires_grad_(True)  # a checkpoint may have been frozen when it was trained
    for encoder, noted, asked in sides:
        transformer: Any = encoder.transformer
        freeze = bool(asked.get("freeze_transformer"))
        noted["freeze_transformer"] = freeze
        if freeze:
            transformer.requires_grad_(False)
        if getattr(transformer, "pooler", None) is not None:
            transformer.pooler.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TrainingError(
            f"{source}, model_config: freeze_transformer leaves a bi-encoder nothing to train."
        )


def _tokenizer(section: ModelSection, pretrained: DualEncoder | None) -> Any:
    named = section.tokenizer_pretrained_model_name_or_path
    if named is None:
        return pretrained.tokenizer if pretrained is not None else None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(named)
    except (OSError, ValueError) as error:
        raise TrainingError(f"the tokenizer {named} cannot be loaded: {error}") from error
