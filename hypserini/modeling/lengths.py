"""How many tokens a text may be cut to."""

from __future__ import annotations

from typing import Any

from hypserini.errors import ModelError


def check_length(tokenizer: Any, max_length: int, *, pair: bool = False) -> int:
    """Return a maximum length if it leaves room for something of a text, or of each of a pair.

    Args:
        tokenizer: A tokenizer of transformers, which adds tokens of its own.
        max_length: Tokens, the tokenizer's own included.
        pair: Two texts are read as one.

    Raises:
        ModelError: It leaves none; says how many are needed.
    """
    own = tokenizer.num_special_tokens_to_add(pair=pair)
    needed = own + 1 + pair
    if max_length < needed:
        raise ModelError(
            f"a length of {max_length} tokens leaves no room for a text beside the {own} that the"
            f" tokenizer adds: give at least {needed}."
        )
    return max_length
