"""Cross-encoders of transformers as teachers: one score for each pair of a query and a text."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from hypserini.errors import ModelError
from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.devices import choose_device, choose_dtype
from hypserini.modeling.lengths import check_length
from hypserini.modeling.positions import positions_of
from hypserini.modeling.quiet import quietly
from hypserini.train.teach.loading import fingerprint, load_with_head

MAX_LENGTH = 512


class CrossEncoder:
    """Scores pairs of a query and a text.

    A model with one output gives that (`logit`) or its sigmoid (`probability`). Of a model with
    two, a softmax classifier, the score is that of its label `positive_label`: its log-odds, which
    is its output less the other's (`logit`), or its share of the softmax (`probability`). So both
    kinds of logits are what the sigmoid turns into the probability.

    Args:
        name_or_path: A folder or a name on the Hugging Face hub.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: of the model's arithmetic, as `load_model` takes it.
        max_length: Tokens of a pair, special ones included; the longer of the two texts is cut.
            By default 512, and at most what the model can read.
        batch_size: Pairs scored at once.
        score: `logit` or `probability`.
        positive_label: Which of two labels means relevant.

    Raises:
        ModelError: The model is not there, is damaged, or is no cross-encoder; or the device is
            not there.
    """

    def __init__(
        self,
        name_or_path: str | os.PathLike[str],
        *,
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        batch_size: int = 64,
        score: str = "logit",
        positive_label: int = 1,
    ) -> None:
        self.name = os.fspath(name_or_path)
        target = choose_device(device)
        with quietly():
            self._model, self._tokenizer = _load(Checkpoint(name_or_path))
        config = self._model.config
        if config.num_labels == 2 and not 0 <= positive_label < 2:
            raise ModelError(f"the positive label is {positive_label} and must be 0 or 1.")
        self._positive = positive_label
        self._probability = score == "probability"
        self.fingerprint = fingerprint(self._model)
        self._model.to(device=target, dtype=choose_dtype(dtype, target)).eval()
        self._accepted = set(inspect.signature(self._model.forward).parameters)
        readable = min(positions_of(self._model), self._tokenizer.model_max_length)
        length = min(max_length or MAX_LENGTH, readable)
        self.max_length = check_length(self._tokenizer, length, pair=True)
        self.batch_size = batch_size
        self.truncated = 0
        """Pairs that were longer than `max_length` so far."""

    @property
    def num_labels(self) -> int:
        """The model's outputs: 1 or 2."""
        return int(self._model.config.num_labels)

    @property
    def label(self) -> str:
        """The name of the label that means relevant, of a model with two."""
        names = self._model.config.id2label or {}
        return str(names.get(self._positive, self._positive))

    @torch.inference_mode()
    def score(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """The scores of pairs, `[n] float32` in their order; not all need be finite.

        Give many batches' worth of pairs at once: they are scored in the order of their lengths,
        so that little is padded.
        """
        scores = np.empty(len(texts), dtype=np.float32)
        if not len(texts):
            return scores
        rows = self._tokenizer(
            list(queries), list(texts), truncation=True, max_length=self.max_length
        )
        self.truncated += sum(bool(encoding.overflowing) for encoding in rows.encodings or ())
        lengths = [len(row) for row in rows["input_ids"]]
        # The longest first: if they do not fit into memory, that shows at once.
        by_length = sorted(range(len(texts)), key=lambda i: lengths[i], reverse=True)
        names = [name for name in rows if name in self._accepted]
        for start in range(0, len(texts), self.batch_size):
            batch = by_length[start : start + self.batch_size]
            inputs = self._tokenizer.pad(
                {name: [rows[name][i] for i in batch] for name in names}, return_tensors="pt"
            )
            logits = self._model(**inputs.to(self._model.device)).logits
            scores[batch] = self._of(logits.float()).cpu().numpy()
        return scores

    def _of(self, logits: torch.Tensor) -> torch.Tensor:
        """Scores [n] of logits [n, labels]."""
        if self.num_labels == 1:
            odds = logits[:, 0]
        else:
            odds = logits[:, self._positive] - logits[:, 1 - self._positive]
        return odds.sigmoid() if self._probability else odds


def _load(checkpoint: Checkpoint) -> tuple[Any, Any]:
    model, tokenizer = load_with_head(
        checkpoint,
        AutoModelForSequenceClassification,
        "cross-encoder",
        "cross-encoder/ms-marco-MiniLM-L6-v2",
    )
    if model.config.num_labels > 2:
        raise ModelError(
            f"{checkpoint.name} has {model.config.num_labels} labels, and a cross-encoder that "
            "scores relevance has one or two: give another."
        )
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f"the tokenizer of {checkpoint.name} has no padding token, without which pairs cannot "
            "be scored in batches: give another cross-encoder."
        )
    return model, tokenizer
