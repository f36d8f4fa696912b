"""SPLADE models as teachers: a text becomes weights of the vocabulary's words, by masked language.

A word's weight is the maximum over the text's tokens of `log(1 + relu(logit))` (Formal et al.,
arXiv 2109.10086), the score of a pair the inner product.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForMaskedLM

from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.devices import choose_device, choose_dtype
from hypserini.modeling.lengths import check_length
from hypserini.modeling.positions import positions_of
from hypserini.modeling.quiet import quietly
from hypserini.train.teach.loading import fingerprint, load_with_head

MAX_LENGTH = 256


class Splade:
    """Scores pairs of a query and a text.

    Args:
        name_or_path: A folder or a name on the Hugging Face hub.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: of the model's arithmetic, as `load_model` takes it.
        max_length: Tokens of a text, at most what the model can read.
        batch_size: Texts encoded at once.

    Raises:
        ModelError: The model is not there, is damaged, or has no masked-language head.
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
        self.name = os.fspath(name_or_path)
        target = choose_device(device)
        with quietly():
            self._model, self._tokenizer = load_with_head(
                Checkpoint(name_or_path),
                AutoModelForMaskedLM,
                "SPLADE",
                "naver/splade-cocondenser-ensembledistil",
            )
        self.fingerprint = fingerprint(self._model)
        self._model.to(device=target, dtype=choose_dtype(dtype, target)).eval()
        self._accepted = set(inspect.signature(self._model.forward).parameters)
        readable = min(positions_of(self._model), self._tokenizer.model_max_length)
        self.max_length = check_length(self._tokenizer, min(max_length or MAX_LENGTH, readable))
        self.batch_size = batch_size
        self.truncated = 0

    @torch.inference_mode()
    def score(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """The scores of pairs, `[n] float32` in their order; each text is encoded once."""
        unique = dict.fromkeys([*queries, *texts])
        weights = dict(zip(unique, self._encode(list(unique)), strict=True))
        scores = np.empty(len(texts), dtype=np.float32)
        dense = torch.zeros(self._model.config.vocab_size)
        last = None
        for row, (query, text) in enumerate(zip(queries, texts, strict=True)):
            if query != last:
                words, values = weights[query]
                dense.zero_()[words] = values
                last = query
            words, values = weights[text]
            scores[row] = float(dense[words] @ values)
        return scores

    def _encode(self, texts: list[str]) -> list[tuple[Tensor, Tensor]]:
        """The words of each text and their weights, those above 0."""
        rows = self._tokenizer(texts, truncation=True, max_length=self.max_length)
        self.truncated += sum(bool(encoding.overflowing) for encoding in rows.encodings or ())
        lengths = [len(row) for row in rows["input_ids"]]
        by_length = sorted(range(len(texts)), key=lambda i: lengths[i], reverse=True)
        names = [name for name in rows if name in self._accepted]
        found: list[Any] = [None] * len(texts)
        for start in range(0, len(texts), self.batch_size):
            batch = by_length[start : start + self.batch_size]
            inputs = self._tokenizer.pad(
                {name: [rows[name][i] for i in batch] for name in names}, return_tensors="pt"
            ).to(self._model.device)
            logits = self._model(**inputs).logits.float()
            logits.masked_fill_(inputs["attention_mask"].unsqueeze(-1) == 0, 0)
            for i, weights in zip(batch, logits.amax(1).relu_().log1p_().cpu(), strict=True):
                words = weights.nonzero().squeeze(1)
                found[i] = words, weights[words]
        return found
