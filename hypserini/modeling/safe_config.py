"""The configuration of a transformer, without what would make transformers run foreign code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.quiet import quietly

logger = logging.getLogger(__name__)

# They name code on a hub, or kernels that transformers would fetch from one; how attention is
# computed is the machine's affair, and no part of the model.
_FOREIGN = (
    "auto_map",
    "custom_pipelines",
    "trust_remote_code",
    "attn_implementation",
    "experts_implementation",
    "use_kernels",
    "kernel_config",
    "fusion_config",
)


def without_foreign_code(values: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a config.json without the keys that reach for code, at any depth."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if key.lstrip("_").startswith(_FOREIGN):
            level = logging.INFO if key == "auto_map" else logging.DEBUG
            logger.log(level, "the code that config.json names as %s is not run", key)
        else:
            kept[key] = _within(value)
    return kept


def _within(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_foreign_code(value)
    return [_within(one) for one in value] if isinstance(value, list) else value


def transformer_config(values: Mapping[str, Any], source: str) -> PreTrainedConfig:
    """Make a transformer's configuration out of the contents of a config.json.

    Args:
        values: the contents; files of before 2020 have no model_type, which their architecture or
            their keys give then.
        source: what to call the file in messages.

    Raises:
        ModelError: transformers does not know the model_type, or the values are not usable.
    """
    values = without_foreign_code(values)
    if values.get("quantization_config"):
        raise ModelError(
            f"{source} describes quantised weights (quantization_config), which are not supported:"
            " give the model as it was before."
        )
    model_type = model_type_of(values)
    values.pop("model_type", None)
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise ModelError(
            f"{source} describes no encoder that transformers reads: its model_type {model_type!r}"
            " is unknown to it, and code that comes with a model is not run."
        )
    try:
        with quietly():
            return AutoConfig.for_model(model_type, **values)
    except Exception as error:  # each model's configuration checks in its own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        raise ModelError(f"{source} is not usable: {reason}.") from error


def model_type_of(values: Mapping[str, Any]) -> Any:
    """The kind of transformer that a config.json describes; None where it describes none."""
    if values.get("model_type"):
        return values["model_type"]
    for name in values.get("architectures") or ():
        known = getattr(getattr(transformers, str(name), None), "config_class", None)
        if known is not None:
            return known.model_type
    return "bert" if "type_vocab_size" in values and "hidden_size" in values else None
