"""Reads the tokenizer in a checkpoint's folder, and has it lower texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers.normalizers import Lowercase, Sequence
from transformers import AutoTokenizer, PreTrainedConfig

from hypserini.errors import ModelError
from hypserini.modeling.quiet import quietly


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
    backend.normalizer = Sequence([Lowercase(), *before])
