"""Transformers with a head of their own, as teachers need them: nothing of it made up."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from transformers import AutoTokenizer

from hypserini.errors import ModelError
from hypserini.modeling.checkpoints import Checkpoint
from hypserini.modeling.safe_config import transformer_config


def load_with_head(checkpoint: Checkpoint, auto: Any, kind: str, such: str) -> tuple[Any, Any]:
    """Load a model and its tokenizer.

    Args:
        checkpoint: its files.
        auto: the class of transformers that reads the kind.
        kind: what it is, with its article, for messages.
        such: an example of one, and what it was trained for.

    Raises:
        ModelError: the checkpoint is damaged or of another kind.
    """
    checkpoint.fetch_small_files()
    checkpoint.weights()  # fetches them, and says clearly what is wrong with a damaged file
    try:
        config = transformer_config(checkpoint.config(), f"{checkpoint.folder}/config.json")
        model, info = auto.from_pretrained(
            checkpoint.folder,
            config=config,
            output_loading_info=True,
            trust_remote_code=False,
            dtype="float32",
        )
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ModelError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{checkpoint.name} is no {kind} that transformers reads ({reason.rstrip('.')}):"
            f" give one such as {such}."
        ) from error
    # transformers fills in at random what a checkpoint lacks, such as the head of a plain encoder.
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"{checkpoint.name} is no {kind}, for its checkpoint lacks the weights "
            f"{', '.join(missing[:2])}: give one that was trained as such, as {such}."
        )
    return model, tokenizer


def fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 (hex) of the weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
