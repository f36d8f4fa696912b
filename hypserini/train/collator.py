"""From examples to the tensors of one training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hypserini.modeling.lengths import check_length
from hypserini.modeling.tokenizing import pad, padding_id, tokenize
from hypserini.train.data.examples import Example
from hypserini.train.data.passage_vectors import VectorStore


class Collator:
    """Tokenises a batch of examples and pads it to its longest text.

    Args:
        tokenizer: the model's.
        query_max_length: tokens that a query is cut to.
        document_max_length: tokens that a document is cut to.
        query_prefix: put before every query.
        document_prefix: put before every document.
        vocabulary: how many tokens the model knows; others become the unknown token.
        labels: give the teacher's scores along.
        vectors: of the documents, in place of their texts.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        query_max_length: int,
        document_max_length: int,
        query_prefix: str = "",
        document_prefix: str = "",
        vocabulary: int | None = None,
        labels: bool = False,
        vectors: VectorStore | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.query_max_length = check_length(tokenizer, query_max_length)
        self.document_max_length = check_length(tokenizer, document_max_length)
        self.query_prefix = query_prefix
        self.document_prefix = document_prefix
        self.vocabulary = vocabulary
        self.labels = labels
        self.vectors = vectors

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return the arguments of `DualEncoder.forward` for q examples of k documents each.

        The documents of query 0 come first: `passage_input_ids` is [q * k, length] int64, or
        `passage_vectors` [q * k, dim] float32. `labels` is [q, k] float32.
        """
        queries, query_mask = self._tokenize(
            [e.query for e in examples], self.query_max_length, self.query_prefix
        )
        batch = {"query_input_ids": queries, "query_attention_mask": query_mask}
        items = [item for e in examples for item in e.items]
        if self.vectors is not None:
            docids = [item.docid for item in items if item.docid is not None]
            batch["passage_vectors"] = self.vectors.of(docids)
        else:
            batch["passage_input_ids"], batch["passage_attention_mask"] = self._tokenize(
                [item.content for item in items], self.document_max_length, self.document_prefix
            )
        if self.labels:
            batch["labels"] = torch.tensor([[item.score for item in e.items] for e in examples])
        return batch

    def _tokenize(
        self, texts: Sequence[str], max_length: int, prefix: str
    ) -> tuple[Tensor, Tensor]:
        rows, _ = tokenize(
            self.tokenizer, texts, max_length, prefix=prefix, vocabulary=self.vocabulary
        )
        return pad(rows, padding_id(self.tokenizer, self.vocabulary))
