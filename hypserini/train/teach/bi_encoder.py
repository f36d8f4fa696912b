"""Bi-encoders and Hypencoders as teachers of texts that no index of theirs holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain, groupby

import numpy as np
import torch

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.modeling import load_model

MAX_LENGTH = 256


class TextEncoder:
    """Scores pairs of a query and a text by encoding both.

    Args:
        name_or_path: a model, as `load_model` takes it.
        device: as `load_model` takes it.
        dtype: as `load_model` takes it.
        max_length: tokens of a text, at most what the model can read.
        batch_size: texts encoded at once.

    Raises:
        ModelError: the model cannot be loaded.
    """

    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        *,
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        batch_size: int = 64,
    ) -> None:
        model = load_model(name_or_path, device=device, dtype=dtype)
        self.name, self.fingerprint = model.name, model.fingerprint
        self.batch_size = batch_size
        self._queries = QueryEncoder(model)
        self._documents = DocumentEncoder(
            model, max_length=max_length or MAX_LENGTH, batch_size=batch_size
        )
        self._device = model.device
        self.max_length = self._documents.max_length

    @property
    def truncated(self) -> int:
        """Texts that were longer than `max_length`."""
        return self._documents.truncated

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """The scores of pairs, `[n] float32` in their order; each text is encoded once."""
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = torch.from_numpy(self._documents.encode(list(rows))).to(self._device)
        together = [list(group) for _, group in groupby(range(len(queries)), queries.__getitem__)]
        batches = self._queries.batches([queries[places[0]] for places in together])
        scores = np.empty(len(texts), dtype=np.float32)
        for places, q_net in zip(together, chain.from_iterable(batches), strict=True):
            own = vectors[[rows[texts[place]] for place in places]]
            scores[places] = q_net.score(own)[0].cpu().numpy()
        return scores
