"""DPR's checkpoints: a BERT of which the [CLS] state is the vector, one for each side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hypserini.errors import ModelError

_SIDES = {"question_encoder": "queries", "ctx_encoder": "documents"}


def read_dpr(
    values: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor], str]:
    """Take DPR's question or context encoder as the BERT that it is.

    Args:
        values: the contents of config.json.
        tensors: the checkpoint's, by name.
        source: what to call the checkpoint in messages.

    Returns:
        (BERT's configuration, its weights, those of the projection behind [CLS] where there is
        one, which side it encodes: `queries` or `documents`).

    Raises:
        ModelError: it is neither of the two, such as DPR's reader.
    """
    prefix = next((p for p in _SIDES if any(name.startswith(f"{p}.") for name in tensors)), None)
    if prefix is None:
        raise ModelError(
            f"{source} is a DPR model without question_encoder or ctx_encoder weights, such as its"
            " reader: give DPR's question encoder or context encoder."
        )
    bert, projection = f"{prefix}.bert_model.", f"{prefix}.encode_proj."
    config = {key: value for key, value in values.items() if key != "projection_dim"}
    config |= {"model_type": "bert", "architectures": None}
    projecting = {
        f"0.linear.{k.removeprefix(projection)}": t
        for k, t in tensors.items()
        if k.startswith(projection)
    }
    rest = {k.removeprefix(bert): t for k, t in tensors.items() if not k.startswith(projection)}
    return config, rest, projecting, _SIDES[prefix]
