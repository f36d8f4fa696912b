"""Finds the configuration of a base transformer that a checkpoint only names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import BertConfig, PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.configuration import base_config_dict
from hypserini.modeling.safe_config import transformer_config

logger = logging.getLogger(__name__)


def find_base_config(
    checkpoint: Checkpoint,
    kwargs: Mapping[str, Any] | None,
    tensors: Mapping[str, Tensor],
    side: str,
) -> dict[str, Any]:
    """Find the configuration of a base transformer that the checkpoint only names.

    It is looked for in a folder of that name (in or beside the checkpoint, or from the working
    directory), then in the hub's cache, on the hub, and at last read off the weights.

    Raises:
        ModelError: it is nowhere, or not usable.
    """
    name = (kwargs or {}).get("model_name_or_path") or ""
    if name:
        for parent in (checkpoint.folder, checkpoint.folder.resolve().parent, Path()):
            if (parent / name / "config.json").is_file():
                return _read(Checkpoint(parent / name))
        try:
            return _read(Checkpoint(name))
        except ModelError as error:
            logger.debug("No configuration of %s: %s", name, error)
    prefix = f"{side}_encoder.transformer."
    if not any(key.startswith(prefix) for key in tensors):  # a shared encoder may be kept once
        prefix = "passage_encoder.transformer." if side == "query" else "query_encoder.transformer."
    config = _read_off(
        {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    )
    if config is None:
        raise ModelError(
            f"the configuration of the base model {name or '(unnamed)'} of {checkpoint.name} "
            f"cannot be found or read off its weights: put its config.json into "
            f"{checkpoint.folder / (Path(name).name or 'base')}."
        )
    logger.info("The configuration of %s was read off the weights.", name or "the base model")
    return base_config_dict(config)


def _read(base: Checkpoint) -> dict[str, Any]:
    values = base.config()
    return base_config_dict(transformer_config(values, f"{base.folder}/config.json"))


def _read_off(tensors: Mapping[str, Tensor]) -> PreTrainedConfig | None:
    """A BERT's configuration by the shapes of its weights, or None where they do not tell it.

    What shapes do not show is taken to be as in all of BERT's sizes: heads of 64 dimensions,
    gelu, layer norms with eps 1e-12.
    """
    try:
        vocabulary, hidden = tensors["embeddings.word_embeddings.weight"].shape
        positions = tensors["embeddings.position_embeddings.weight"].shape[0]
        types = tensors["embeddings.token_type_embeddings.weight"].shape[0]
        intermediate = tensors["encoder.layer.0.intermediate.dense.weight"].shape[0]
    except KeyError:
        return None
    if hidden % 64:
        return None
    layers = 1 + max(int(k.split(".")[2]) for k in tensors if k.startswith("encoder.layer."))
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=intermediate,
        max_position_embeddings=positions,
        type_vocab_size=types,
    )
