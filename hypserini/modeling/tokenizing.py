"""From texts to token ids: reading a tokenizer, and using any tokenizer on any text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.quiet import quietly


class Tokens(NamedTuple):
    """The token ids of some texts.

    Attributes:
        rows: of every text, at least one.
        cut: how many texts were longer than they could be.
    """

    rows: list[list[int]]
    cut: int


def read_tokenizer(folder: Path, config: PreTrainedConfig | None = None) -> Any:
    """The tokenizer in a folder.

    Args:
        folder: where its files lie.
        config: of the transformer, which tells the tokenizer's class where the files do not.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, config=config, trust_remote_code=False
            )
    except Exception as error:  # each kind of tokenizer fails in its own way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"the tokenizer in {folder} cannot be read ({reason}).") from error
    # Without its files, transformers makes one that knows its special tokens alone.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ModelError(
            f"{folder} has no tokenizer with a vocabulary: put its tokenizer.json or vocab.txt"
            " there."
        )
    return tokenizer


def lower_case(tokenizer: Any) -> None:
    """Let a tokenizer lower all texts, before whatever else it does with them.

    Raises:
        ModelError: it is not of the kind that can be told so.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            "the model asks for do_lower_case, which its tokenizer cannot do: set it in"
            " tokenizer_config.json."
        )
    before = [backend.normalizer] if backend.normalizer is not None else []
    backend.normalizer = Normalizers([Lowercase(), *before])


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
        rows = [_known(row, vocabulary, tokenizer.unk_token_id) for row in rows]
    return Tokens([row or [_end(tokenizer, vocabulary)] for row in rows], cut)


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


def _known(row: Sequence[int], vocabulary: int, unknown: int | None) -> list[int]:
    if unknown is None or unknown >= vocabulary:
        return [token for token in row if token < vocabulary]
    return [token if token < vocabulary else unknown for token in row]


def _end(tokenizer: Any, vocabulary: int | None) -> int:
    for token in (tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id):
        if token is not None and (vocabulary is None or token < vocabulary):
            return int(token)
    return 0
