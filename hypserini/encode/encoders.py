"""Encodes texts in batches: documents into vectors, queries into q-nets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from hypserini.errors import ModelError
from hypserini.modeling import QNet
from hypserini.modeling.packed_linear import pack_linears

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder


class DocumentEncoder:
    """Encodes documents; `truncated` counts those that were longer than `max_length` so far.

    Args:
        model: The model, on the device and in the number format it is to compute in.
        max_length: Tokens encoded of a document, special ones included; by default the model's, and
            at most what its transformer can read.
        batch_size: Documents encoded at once.
    """

    def __init__(
        self, model: DualEncoder, *, max_length: int | None = None, batch_size: int = 64
    ) -> None:
        self.model = model
        pack_linears(model)
        self.max_length = min(max_length or model.document_max_length, model.max_positions)
        self.batch_size = batch_size
        self.truncated = 0

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts into `[n, dim] float32`, in their order.

        Give many batches' worth of texts at once: they are encoded in the order of their lengths,
        so that little is padded.

        Raises:
            ModelError: A vector has a component that is not finite; its `position` tells which.
        """
        vectors = np.empty((len(texts), self.model.dim), dtype=np.float32)
        rows, overflowing = _tokenize(self.model, texts, self.max_length)
        self.truncated += overflowing
        # The longest first: if they do not fit into memory, that shows at once.
        by_length = sorted(range(len(texts)), key=lambda i: len(rows[i]), reverse=True)
        for start in range(0, len(texts), self.batch_size):
            batch = by_length[start : start + self.batch_size]
            inputs = _pad(self.model, [rows[i] for i in batch])
            vectors[batch] = self.model.encode_documents(*inputs).float().cpu().numpy()
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if bad.size:
            error = ModelError(
                f"the model {self.model.name} encodes a text to a vector that is not finite: "
                "check its weights, or encode with --dtype float32."
            )
            error.position = int(bad[0])  # type: ignore[attr-defined]
            raise error
        return vectors


class QueryEncoder:
    """Encodes queries into q-nets.

    Args:
        model: The model, on the device and in the number format it is to compute in.
        max_length: Tokens encoded of a query, special ones included; by default the model's, and
            at most what its transformer can read.
        batch_size: Queries encoded at once.
    """

    def __init__(
        self, model: DualEncoder, *, max_length: int | None = None, batch_size: int = 32
    ) -> None:
        self.model = model
        pack_linears(model)
        self.max_length = min(max_length or model.query_max_length, model.max_positions)
        self.batch_size = batch_size

    def encode(self, texts: Sequence[str]) -> QNet:
        """The q-nets of one or more queries, one batch of them in the order of the texts."""
        return QNet.cat(list(self.batches(texts)))

    def batches(self, texts: Sequence[str], batch_size: int | None = None) -> Iterator[QNet]:
        """The q-nets of `batch_size` queries at a time, in the order of the texts.

        Those of a model of the paper's size take 14 MB a query: hold no more than you need.
        """
        size = batch_size or self.batch_size
        for start in range(0, len(texts), size):
            yield self._encode_batch(texts[start : start + size])

    # Not inference_mode: tangents are gradients through the q-net, and inference tensors have none.
    @torch.no_grad()
    def _encode_batch(self, texts: Sequence[str]) -> QNet:
        rows, _ = _tokenize(self.model, texts, self.max_length)
        return self.model.encode_queries(*_pad(self.model, rows))


def _tokenize(
    model: DualEncoder, texts: Sequence[str], max_length: int
) -> tuple[list[list[int]], int]:
    """Token ids of every text, cut to `max_length`, and how many were cut."""
    if not texts:
        return [], 0
    batch = model.tokenizer(list(texts), truncation=True, max_length=max_length)
    overflowing = sum(bool(encoding.overflowing) for encoding in batch.encodings or ())
    return batch["input_ids"], overflowing


def _pad(model: DualEncoder, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask `[n, length]`, padded to the longest row."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, model.tokenizer.pad_token_id or 0)
    ids[mask] = np.concatenate(rows)
    to = {"device": model.device, "non_blocking": True}
    return torch.from_numpy(ids).to(**to), torch.from_numpy(mask.astype(np.int64)).to(**to)
