"""From texts to token ids, by any tokenizer, of any text."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Tokens(NamedTuple):
    """The token ids of some texts.

    Attributes:
        rows: of every text, at least one.
        cut: how many texts were longer than they could be.
    """

    rows: list[list[int]]
    cut: int


def tokenize(
    tokenizer: Any,
    texts: Sequence[str],
    max_length: int,
    *,
    prefix: str = "",
    vocabulary: int | None = None,
) -> Tokens:
    """Turn texts into token ids, special ones included.

    Any text has a token: of an empty one that the tokenizer adds nothing to, its end.

    Args:
        tokenizer: any of transformers'.
        texts: any texts.
        max_length: tokens that a text is cut to.
        prefix: put before every text that does not begin with it.
        vocabulary: how many tokens the model knows; others become the unknown token.
    """
    if not texts:
        return Tokens([], 0)
    # Collections that were made for such a model may have it in their texts already.
    texts = [text if text.startswith(prefix) else prefix + text for text in texts]
    with alone():
        try:
            batch = tokenizer(texts, truncation=True, max_length=max_length)
        except (TypeError, UnicodeEncodeError):  # halves of characters, as \ud800 in JSON
            texts = [
                text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
            ]
            batch = tokenizer(texts, truncation=True, max_length=max_length)
        rows: list[list[int]] = batch["input_ids"]
        cut = _count_cut(tokenizer, texts, batch, max_length)
    if vocabulary is not None and len(tokenizer) > vocabulary:
        unknown = tokenizer.unk_token_id
        found = ([known_token(token, vocabulary, unknown) for token in row] for row in rows)
        rows = [[token for token in row if token is not None] for row in found]
    return Tokens([row or [_end(tokenizer, vocabulary)] for row in rows], cut)


_lock = threading.Lock()


def alone() -> threading.Lock:
    """To be held while a tokenizer is called: the length that one thread asks for is set in it."""
    return _lock


def _forget() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def padding_id(tokenizer: Any, vocabulary: int | None = None) -> int:
    """The token to pad with; 0 where the tokenizer has none that the model knows."""
    padding = tokenizer.pad_token_id
    return padding if padding is not None and padding < (vocabulary or sys.maxsize) else 0


def pad(rows: Sequence[Sequence[int]], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask `[n, length]` int64, padded to the longest row on the right."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, padding, dtype=np.int64)
    ids[mask] = np.concatenate(rows)
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def _count_cut(tokenizer: Any, texts: Sequence[str], batch: Any, max_length: int) -> int:
    if batch.encodings:
        return sum(bool(encoding.overflowing) for encoding in batch.encodings)
    # Tokenizers written in Python do not tell.
    full = [i for i, row in enumerate(batch["input_ids"]) if len(row) >= max_length]
    return sum(len(tokenizer(texts[i])["input_ids"]) > max_length for i in full)


def known_token(token: int, vocabulary: int | None, unknown: int | None) -> int | None:
    """A token that a model of so many knows: itself, the unknown one, or None if it lacks both."""
    if vocabulary is None or token < vocabulary:
        return token
    return None if unknown is None or unknown >= vocabulary else unknown


def _end(tokenizer: Any, vocabulary: int | None) -> int:
    for token in (tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id):
        if token is not None and (vocabulary is None or token < vocabulary):
            return int(token)
    return 0
