"""The model that a training configuration describes, with its first weights."""

from __future__ import annotations

import logging
from typing import Any

from hypserini.errors import ModelError, TrainingError, shown
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
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.settings import EncodingSettings
from hypserini.train.data.passage_vectors import Recorded
from hypserini.train.recipe.config import ModelSection, TrainingConfig, check_keys
from hypserini.train.recipe.initialization import (
    begin_as_bi_encoder,
    begin_as_dot_product,
    insert_identity_layers,
)
from hypserini.train.recipe.numbers import BASE, checked_numbers
from hypserini.train.recipe.over_vectors import Base, check_vectors, make_over_vectors, nested_of
from hypserini.train.recipe.types import fits

logger = logging.getLogger(__name__)

MODEL_TYPES = ("hypencoder", "biencoder")
HEAD_INITIALIZATIONS = ("paper", "bi-encoder", "dot-product")

_ENCODER_KEYS = ("model_name_or_path", "freeze_transformer", "pooling_type")
_QUERY_KEYS = (
    *_ENCODER_KEYS,
    "embedding_representation",
    "base_encoder_output_dim",
    "converter_kwargs",
    "nested",
)


def build_model(config: TrainingConfig, recorded: Recorded | None = None) -> DualEncoder:
    """Make the model to train, on the CPU, with its tokenizer and losses.

    Args:
        config: what describes it.
        recorded: of the encoder of `passage_vectors`, if there are any.

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
        check_vectors(model, recorded, config.source)
    elif recorded is not None:
        model = _over_vectors(section, recorded, lengths, config.source)
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
        if value not in (*known, *[None] * (name == "head_initialization")):
            raise TrainingError(f"{where}: {name} is {value!r}: use one of {', '.join(known)}.")
    for name, kwargs, keys in (
        ("query_encoder_kwargs", section.query_encoder_kwargs, _QUERY_KEYS),
        ("passage_encoder_kwargs", section.passage_encoder_kwargs, _ENCODER_KEYS),
    ):
        if not isinstance(kwargs, dict):
            raise TrainingError(f"{where}: {name} is no mapping.")
        check_keys(kwargs, keys, f"{where}, {name}")
    for name in ("passage_encoder_kwargs", "normalize"):
        if section.passage_vectors and getattr(section, name):
            raise TrainingError(
                f"{where} has both passage_vectors and {name}: documents are encoded already, so "
                "leave the latter out."
            )
    _tell_of_q_nets(section, where)
    nested = section.query_encoder_kwargs.get("nested")
    if nested is not None and not fits(nested, list[int]):
        raise TrainingError(
            f"{where}, query_encoder_kwargs: nested is {shown(nested)}: give the numbers of hidden "
            "blocks that are to be trained beside the whole q-net, as a list."
        )
    if section.query_encoder_kwargs.get("embedding_representation") is not None:
        logger.info("embedding_representation has no effect: no loss takes it.")


def _tell_of_q_nets(section: ModelSection, where: str) -> None:
    """Say what of a configuration a bi-encoder, which may be trained by a q-net's, leaves aside."""
    query = section.query_encoder_kwargs
    given = {"head_initialization": section.head_initialization}
    given |= {name: query.get(name) for name in ("converter_kwargs", "nested")}
    if section.model_type == "biencoder" and any(given.values()):
        names = " and ".join(name for name, value in given.items() if value)
        logger.warning("%s: a bi-encoder has no q-net, so %s has no effect", where, names)


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
    # Only transformers are taken, and how they are pooled the configuration says.
    settings = EncodingSettings(pooling=passage.get("pooling_type", "cls"))
    bases = [_base(section, name, settings, source) for name in dict.fromkeys(names)]
    bases = [bases[0], bases[-1]]
    model = _make(section, bases, names, lengths, source)
    for base, encoder in zip(bases, (model.query_encoder, model.passage_encoder), strict=True):
        if base.pretrained is not None:
            _copy_transformer(base.pretrained, encoder.transformer)
        if section.shared_encoder:
            break
    _begin(model, section, bases[0].pretrained, source)
    return model


def _over_vectors(
    section: ModelSection, recorded: Recorded, lengths: dict[str, Any], source: str
) -> DualEncoder:
    """Make a model whose documents' vectors are there already."""
    query = section.query_encoder_kwargs
    name = query.get("model_name_or_path") or recorded.model
    settings = EncodingSettings(pooling=query.get("pooling_type"))
    if name == recorded.model:  # queries are encoded as the documents were
        settings = settings.over(recorded.settings)
    base = _base(section, name, settings, source)
    model = make_over_vectors(section, base, name, recorded, lengths)
    if base.pretrained is not None:
        _copy_transformer(base.pretrained, model.query_encoder.transformer)
    _begin(model, section, base.pretrained, source)
    return model


def _begin(
    model: DualEncoder, section: ModelSection, pretrained: DualEncoder | None, source: str
) -> None:
    """Give a new model the head's first weights, and its tokenizer."""
    head = model.query_encoder
    if isinstance(head, Hypernetwork):
        beside = head.q_net_config.add_query_vector
        how = section.head_initialization or ("dot-product" if beside else "paper")
        if how == "dot-product" and not beside:
            raise TrainingError(
                f"{source}, model_config: head_initialization dot-product needs a query vector "
                "beside the q-net: set add_query_vector to true in converter_kwargs."
            )
        section.head_initialization = how  # for the card
        if how == "bi-encoder":
            begin_as_bi_encoder(head)
        elif how == "dot-product":
            begin_as_dot_product(head)
    model.tokenizer = _tokenizer(section, pretrained)
    if pretrained is not None and model.tokenizer is pretrained.tokenizer:
        model.config.lower_case = pretrained.config.lower_case


def _base(section: ModelSection, name: str, settings: EncodingSettings, source: str) -> Base:
    """Load one side's transformer, or only make its configuration."""
    if section.base_config is None and not (section.initial_weights or name):
        raise TrainingError(
            f"{source}: model_config needs checkpoint_path, base_config, or a "
            "model_name_or_path in query_encoder_kwargs."
        )
    weights = section.initial_weights or (name if section.base_config is None else None)
    pretrained = load_model(weights, device="cpu", settings=settings) if weights else None
    if section.base_config is None:
        assert pretrained is not None
        return Base(pretrained.transformers[1].config, pretrained)
    from transformers import AutoConfig

    values = dict(section.base_config)
    values |= checked_numbers(values, BASE, f"{source}, model_config, base_config")
    try:
        config = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{source}: base_config cannot be used: {error}") from error
    return Base(config, pretrained)


def _make(
    section: ModelSection,
    bases: list[Base],
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
        assert config.query_encoder_kwargs is not None
        config.query_encoder_kwargs |= nested_of(section)
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


def _prefixes(bases: list[Base]) -> dict[str, str]:
    """What the pretrained models put before their texts: what is trained on them does the same."""
    query, document = (base.pretrained.config if base.pretrained else None for base in bases)
    return {
        "query_prefix": query.query_prefix if query else "",
        "document_prefix": document.document_prefix if document else "",
    }


def _copy_transformer(pretrained: DualEncoder, transformer: Any) -> None:
    """Give a transformer the weights that the pretrained one has, where they fit."""
    weights = pretrained.transformers[1].state_dict()
    own = transformer.state_dict()
    fitting = {k: w for k, w in weights.items() if k in own and own[k].shape == w.shape}
    if not fitting:
        raise ModelError(
            f"none of the weights of {pretrained.name} fit the transformer to be trained: "
            "its width or kind is another."
        )
    transformer.load_state_dict(fitting, strict=False)
    if _is_without_layers(pretrained.transformers[1]) and not (_is_without_layers(transformer)):
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
        if isinstance(encoder, RecordedEncoder):
            continue
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
