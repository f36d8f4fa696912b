"""Reads the tensors of a weights file, and nothing else that may be in it."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hypserini.errors import ModelError

# Under these, training scripts keep the weights beside the optimizer's state.
_NESTED = ("state_dict", "model_state_dict", "model")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors file, or of one that torch saved, by name.

    Raises:
        ModelError: the file is damaged, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Before torch 1.6 (2020) the format was not zip, and cannot be mapped into memory.
        mapped = zipfile.is_zipfile(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than tensors and may run code when read: save the model again, "
            f"as safetensors."
        ) from error
    except Exception as error:  # whatever a reader raises on bytes that mean nothing
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path} is damaged or not a weights file: fetch it again ({reason})."
        ) from error
    return _tensors_alone(loaded, path)


def _tensors_alone(loaded: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping):
        nested = [loaded[key] for key in _NESTED if isinstance(loaded.get(key), Mapping)]
        found = nested[0] if nested else loaded
        tensors = {str(name): t for name, t in found.items() if isinstance(t, Tensor)}
        if tensors and len(tensors) == len(found):
            return tensors
    raise ModelError(
        f"{path} does not hold a model's tensors by their names: save them with"
        f" torch.save(model.state_dict(), {path.name!r}), or as safetensors."
    )
