"""A document encoder that is not there: what is recorded of the one that made the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from torch import Tensor, nn

from hypserini.errors import ModelError, shown


class RecordedEncoder(nn.Module):
    """Stands in a model over vectors for the encoder that made them; has no weights.

    Args:
        recorded: `model`, `dimension`, and perhaps `fingerprint`, of the encoder.
        pooling: how it pools.

    Attributes:
        name: what the encoder is called.
        dim: the dimension of its vectors.
        fingerprint: as `DualEncoder.fingerprint`; "" if it is not known.

    Raises:
        ModelError: something is not recorded.
    """

    def __init__(self, recorded: Mapping[str, Any], pooling: str) -> None:
        super().__init__()
        values = {"fingerprint": "", **recorded}
        for key, kind in (("model", str), ("dimension", int), ("fingerprint", str)):
            if not isinstance(values.get(key), kind):
                raise ModelError(
                    f"the model's passage_vectors say {key} {shown(values.get(key))}: fetch its "
                    "config.json again."
                )
        self.name: str = values["model"]
        self.dim: int = values["dimension"]
        self.fingerprint: str = values["fingerprint"]
        self.pooling = pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> NoReturn:
        """Raise ModelError: there is nothing to encode with."""
        raise ModelError(
            f"the model has no document encoder, for it was trained over the vectors of {self.name}"
            ": encode documents with that one."
        )
