"""Loads the weights of a transformer that transformers or others saved, and checks each name.

What a checkpoint holds beside the encoder is dropped only where it makes no difference to the
vectors: poolers, old buffers, the heads that predict tokens. Anything else is refused by name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.filling import check_types, some, unwrapped
from hypserini.modeling.quiet import quietly
from hypserini.modeling.transformer import is_encoder_decoder, make_transformer

logger = logging.getLogger(__name__)

# How classes end whose heads predict tokens, or sentences of a text: made for pretraining.
_PRETRAINING = ("ForMaskedLM", "ForPreTraining", "ForCausalLM", "LMHeadModel")
# Such heads' names in BERT's and RoBERTa's files, for those that name no class of transformers.
_PRETRAINING_HEADS = ("cls.predictions.", "cls.seq_relationship.", "lm_head.")


def load_transformer(
    config: PreTrainedConfig, tensors: Mapping[str, Tensor], source: str
) -> nn.Module:
    """A transformer with a checkpoint's weights, in float32 on the CPU.

    Args:
        config: of the transformer.
        tensors: the checkpoint's, by name.
        source: what to call the checkpoint in messages.

    Raises:
        ModelError: weights are missing, of another shape, or there are some that the encoder does
            not use although they would change the vectors; names one.
    """
    architectures = config.architectures or ()
    with torch.device("meta"):
        wanted = make_transformer(config)
    prefix = getattr(wanted, "base_model_prefix", "")
    names = {name for name, _ in wanted.named_parameters()}
    tensors = unwrapped(tensors, names | {f"{prefix}.{name}" for name in names})
    check_types(tensors, source)
    with quietly():
        try:
            # Of no named place: the configuration and the weights are those given here.
            loaded, info = cast(Any, type(wanted)).from_pretrained(
                None,
                config=config,
                state_dict=dict(tensors),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                dtype="float32",
            )
        except Exception as error:  # whatever a kind of model raises
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{source} is no encoder that transformers reads: {reason}") from error
    missing = sorted(key for key in info["missing_keys"] if not _is_of(key, "pooler"))
    if missing:
        raise ModelError(f"{source} lacks the weights {some(missing)}: the checkpoint is damaged.")
    for name, there, asked in info["mismatched_keys"]:
        raise ModelError(
            f"{source}: the weights {name} have the shape {list(there)}, but config.json asks for"
            f" {list(asked)}."
        )
    _check_unused(sorted(info["unexpected_keys"]), config, architectures, source)
    return loaded


def _check_unused(
    unused: Sequence[str], config: PreTrainedConfig, architectures: Sequence[str], source: str
) -> None:
    """Say what is dropped.

    Raises:
        ModelError: it would make other vectors.
    """
    harmless = ["pooler"]
    if is_encoder_decoder(config):
        harmless += ["decoder", "lm_head"]
    heads = _pretraining_heads(config, architectures) if unused else frozenset()
    kept = [
        key
        for key in unused
        if not any(_is_of(key, part) for part in harmless)
        and key not in heads
        and not key.startswith(_PRETRAINING_HEADS)
    ]
    if kept:
        raise ModelError(
            f"{source} has weights that a bi-encoder has no place for, {some(kept)}: its vectors"
            " or scores are not the encoder's own, and without them they would be others."
        )
    if unused:
        logger.info("%s: the encoder does not use %s", source, some(unused))


def _is_of(key: str, part: str) -> bool:
    return part in key.split(".")[:-1]


def _pretraining_heads(config: PreTrainedConfig, architectures: Sequence[str]) -> frozenset[str]:
    """The names of the weights that only the checkpoint's class for pretraining has."""
    for name in architectures:
        known = getattr(transformers, str(name), None)
        if known is not None and name.endswith(_PRETRAINING):
            with torch.device("meta"):
                whole = known(config)
            prefix = f"{whole.base_model_prefix}."
            return frozenset(key for key in whole.state_dict() if not key.startswith(prefix))
    return frozenset()
