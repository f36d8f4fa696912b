"""Makes the transformer of a configuration: of an encoder-decoder the encoder alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForTextEncoding, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES

from hypserini.errors import ModelError


def is_encoder_decoder(config: PreTrainedConfig) -> bool:
    """Whether a configuration is of the kind of T5, of which only the encoder can be used."""
    name = MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES.get(config.model_type, "")
    return bool(config.is_encoder_decoder) or name.endswith("EncoderModel")


def transformer_class(config: PreTrainedConfig) -> Any:
    """The auto class of transformers that makes or loads the model that encodes texts.

    Raises:
        ModelError: it is an encoder-decoder whose encoder does not stand alone.
    """
    if not is_encoder_decoder(config):
        return AutoModel
    if config.model_type not in MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES:
        raise ModelError(
            f"a {config.model_type} is an encoder-decoder whose encoder cannot be used alone: give"
            " an encoder."
        )
    return AutoModelForTextEncoding


def make_transformer(config: PreTrainedConfig) -> nn.Module:
    """A transformer with new weights.

    Raises:
        ModelError: transformers cannot make one of this configuration.
    """
    try:
        return transformer_class(config).from_config(config)
    except ModelError:
        raise
    except Exception as error:  # each kind checks its configuration in its own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        raise ModelError(f"no encoder can be made of a {config.model_type}: {reason}.") from error


def vocabulary_size(transformer: nn.Module) -> int | None:
    """The rows of the table of word embeddings; None where there is no such table."""
    try:
        weight = getattr(transformer.get_input_embeddings(), "weight", None)  # type: ignore
    except (NotImplementedError, AttributeError):
        return None
    return len(weight) if isinstance(weight, torch.Tensor) else None
