"""From the name of a model to the model: Hypencoders, the paper's bi-encoders, other encoders."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.initialization import no_init_weights

from hypserini.errors import ModelError
from hypserini.modeling.base_configs import find_base_config
from hypserini.modeling.bi_encoder import BiEncoder, BiEncoderConfig
from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.configuration import DualEncoderConfig, HypencoderConfig
from hypserini.modeling.devices import AUTO, DTYPES, choose_device, choose_dtype, device_name
from hypserini.modeling.dual_encoder import DualEncoder, HypencoderDualEncoder
from hypserini.modeling.filling import fill_model, unwrapped
from hypserini.modeling.plain_encoders import load_plain_encoder
from hypserini.modeling.pooling import check_pooling
from hypserini.modeling.probing import check_encoding
from hypserini.modeling.safe_config import model_type_of, without_foreign_code
from hypserini.modeling.tokenizers import lower_case, read_tokenizer
from hypserini.modeling.workers import check_threads
from hypserini.settings import AS_THE_FOLDER_SAYS, EncodingSettings

logger = logging.getLogger(__name__)

_MARK = "query_encoder_kwargs"
_TOKENIZER_MARKS = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    settings: EncodingSettings | None = None,
) -> DualEncoder:
    """Load a model for encoding, in evaluation mode, and try it on a few texts.

    Args:
        name_or_path: a checkpoint's folder, a name on the Hugging Face hub, or `hypserini-small`,
            the bundled model. It may be a Hypencoder or a bi-encoder of the paper's code
            (config.json without model_type, pytorch_model.bin or safetensors), what
            `save_pretrained` wrote, or any encoder that transformers or sentence-transformers
            saved, which becomes a bi-encoder. No other weights than the checkpoint's are
            downloaded, and no code in it is run.
        device: `auto` (a GPU when there is one), `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `float32`, `bfloat16`, `float16`, `float64`, or `auto`: see `devices.choose_dtype`.
        settings: what goes before what the folder says of pooling, lengths of vectors, prefixes.

    Raises:
        MissingModelError: there is no model of that name.
        ModelError: the device is not there, or the checkpoint is broken or asks for what is not
            supported, or the model cannot encode; says how.
        ForkError: see `check_threads`.
    """
    settings = settings or AS_THE_FOLDER_SAYS
    if isinstance(dtype, str) and dtype not in (AUTO, *DTYPES):
        raise ModelError(f"unknown dtype {dtype!r}: use one of {', '.join((AUTO, *DTYPES))}.")
    check_threads()
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)
    with _LOADING:
        model = _load(Checkpoint(name_or_path), settings)
    model.cast(device, dtype).eval()
    if device.type != "cpu":
        name = str(dtype).removeprefix("torch.")
        logger.info("%s computes on %s, in %s", model.name, device_name(device), name)
    _tell_unknown_tokens(model)
    check_encoding(model)
    return model


_LOADING = threading.Lock()
"""What transformers switches off while a model is made, it switches off for all threads."""


def _load(checkpoint: Checkpoint, settings: EncodingSettings) -> DualEncoder:
    is_noted = checkpoint.file("modules.json") is not None
    values = checkpoint.config() if checkpoint.file("config.json") or not is_noted else {}
    model: DualEncoder
    if _MARK in values:
        model = _load_dual_encoder(checkpoint, without_foreign_code(values), settings)
    elif is_noted or model_type_of(values):
        model = load_plain_encoder(checkpoint, settings)
    else:
        raise ModelError(
            f"{checkpoint.folder}/config.json has neither query_encoder_kwargs nor model_type: "
            f"this is no model that can be searched with."
        )
    model.name = checkpoint.place
    return model


def is_dual_encoder(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a model is of the paper's code or ours, so that its config.json says all of it.

    Raises:
        MissingModelError: there is no model of that name.
        ModelError: it is no checkpoint.
    """
    checkpoint = Checkpoint(name_or_path)
    return _MARK in (checkpoint.object("config.json") or {})


def _load_dual_encoder(
    checkpoint: Checkpoint, values: Mapping[str, Any], settings: EncodingSettings
) -> DualEncoder:
    tensors = _named_by_side(checkpoint.weights())
    config = _dual_config(checkpoint, values)
    is_hypencoder = isinstance(config, HypencoderConfig)
    if config.base_config is None:
        config.base_config = find_base_config(
            checkpoint, config.query_encoder_kwargs, tensors, "query"
        )
        if not config.shared_encoder:
            passage = find_base_config(
                checkpoint, config.passage_encoder_kwargs, tensors, "passage"
            )
            config.passage_base_config = None if passage == config.base_config else passage
    _apply(settings, config)
    with no_init_weights():
        model = HypencoderDualEncoder(config) if is_hypencoder else BiEncoder(config)
    fill_model(model, tensors, checkpoint.name)
    model.tokenizer = _find_tokenizer(checkpoint, config)
    if config.lower_case:
        lower_case(model.tokenizer)
    limit = getattr(model.tokenizer, "model_max_length", None) or config.document_max_length
    config.document_max_length = min(config.document_max_length, limit)
    config.query_max_length = min(config.query_max_length, limit)
    return model


def _dual_config(checkpoint: Checkpoint, values: Mapping[str, Any]) -> DualEncoderConfig:
    known = {key: value for key, value in values.items() if key != "model_type"}
    try:
        if (values["query_encoder_kwargs"] or {}).get("converter_kwargs"):
            return HypencoderConfig(**known)
        return BiEncoderConfig(**known)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{checkpoint.folder}/config.json cannot be used ({error}): mend or fetch it again."
        ) from error


def _named_by_side(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what a wrapper put before `query_encoder.` and `passage_encoder.`."""
    found = (re.search(r"(?:query|passage)_encoder\..*", name) for name in tensors)
    return unwrapped(tensors, {match[0] for match in found if match})


def _apply(settings: EncodingSettings, config: DualEncoderConfig) -> None:
    """Put what the user says before what config.json says."""
    if settings.pooling is not None and check_pooling(settings.pooling) != config.pooling:
        logger.info("pooled by %s and not by %s", settings.pooling, config.pooling)
        for kwargs in (config.query_encoder_kwargs, config.passage_encoder_kwargs):
            assert kwargs is not None
            kwargs["pooling_type"] = settings.pooling
    if settings.l2_norm is not None:
        config.normalize = settings.l2_norm
    if settings.query_prefix is not None:
        config.query_prefix = settings.query_prefix
    if settings.document_prefix is not None:
        config.document_prefix = settings.document_prefix


def _find_tokenizer(checkpoint: Checkpoint, config: DualEncoderConfig) -> Any:
    """The checkpoint's tokenizer, or else its base model's."""
    checkpoint.fetch_small_files()
    base = (config.query_encoder_kwargs or {}).get("model_name_or_path") or ""
    places: list[Path] = [checkpoint.folder]
    if base:
        places += [checkpoint.folder / base, checkpoint.folder.resolve().parent / base]
    for place in places:
        if any((place / file).is_file() for file in _TOKENIZER_MARKS):
            return read_tokenizer(place, config.transformer_config())
    if base:
        try:
            on_hub = Checkpoint(base)
            on_hub.fetch_small_files()
            return read_tokenizer(on_hub.folder, config.transformer_config())
        except ModelError as error:
            logger.debug("No tokenizer of %s: %s", base, error)
    raise ModelError(
        f"{checkpoint.name} has no tokenizer, and that of its base model "
        f"{base or '(unnamed)'} cannot be had: put its tokenizer.json into {checkpoint.folder}."
    )


def _tell_unknown_tokens(model: DualEncoder) -> None:
    known, there = model.vocabulary_size, len(model.tokenizer)
    if known is not None and there > known:
        logger.warning(
            "%s knows %s of its tokenizer's %s tokens: others are encoded as unknown ones",
            model.name,
            f"{known:,}",
            f"{there:,}",
        )
