"""Finding a checkpoint's files, in a folder or on the hub, and reading their tensors safely."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import (
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    HFValidationError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hypserini.errors import ModelError

if TYPE_CHECKING:
    from hypserini.modeling.dual_encoder import DualEncoder

BUNDLED = "hypserini-small"
HUB_TIMEOUT = 10.0  # seconds
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
)
_SENTENCE_TRANSFORMERS = ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json")
# Buffers that older transformers saved as weights.
_NO_WEIGHTS = ("position_ids", "token_type_ids")


class Checkpoint:
    """The files of one checkpoint.

    Args:
        name_or_path: a folder, the name of the bundled model, or a name on the Hugging Face hub,
            whose files come from its cache or are downloaded when first asked for.

    Raises:
        ModelError: there is no such folder or model, or the hub cannot be reached.
    """

    def __init__(self, name_or_path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(name_or_path)
        path = Path(self.name).expanduser()
        if self.name == BUNDLED and not path.is_dir():
            path = Path(__file__).parent.parent / "models" / BUNDLED
            if not path.is_dir():
                raise ModelError(
                    f"the bundled model {BUNDLED} is missing from this installation ({path}): "
                    f"install the package again, or name another model."
                )
        self._on_hub = not path.exists()
        self._reachable = True
        if path.is_file():
            raise ModelError(f"{path} is a file: give the checkpoint's folder or a hub name.")
        config = _download(self.name, "config.json") if self._on_hub else path / "config.json"
        if config is None or not config.is_file():
            raise ModelError(f"{self.name} has no config.json: give the folder of a checkpoint.")
        self.folder = config.parent

    def file(self, name: str) -> Path | None:
        """The path of one file, or None when the checkpoint has no such file."""
        path = self.folder / name
        if path.is_file():
            return path
        if self._on_hub and self._reachable:
            try:
                return _download(self.name, name)
            except ModelError:
                self._reachable = False  # what is in the cache has to do; do not wait again
        return None

    def config(self) -> dict[str, Any]:
        """The contents of config.json."""
        path = self.file("config.json")
        assert path is not None
        return _read_json(path)

    def json(self, name: str) -> Any:
        """The contents of another JSON file, or None when there is none."""
        path = self.file(name)
        return None if path is None else _read_json(path)

    def fetch_small_files(self) -> None:
        """Have the tokenizer's and the pooling's files in `folder`, where other code reads them."""
        for name in (*_TOKENIZER, *_SENTENCE_TRANSFORMERS):
            self.file(name)

    def weights(self) -> dict[str, Tensor]:
        """All tensors, on the CPU, under the names they have in the file.

        Raises:
            ModelError: there is no weights file, it is damaged, or holds more than tensors.
        """
        for name in _WEIGHTS:
            path = self.file(name)
            if path is None:
                continue
            if not name.endswith(".index.json"):
                return _read_tensors(path)
            tensors: dict[str, Tensor] = {}
            for shard in sorted(set(_read_json(path)["weight_map"].values())):
                shard_path = self.file(shard)
                if shard_path is None:
                    raise ModelError(f"{path} names the shard {shard}, which is missing beside it.")
                tensors.update(_read_tensors(shard_path))
            return tensors
        raise ModelError(f"{self.folder} has no weights: expected {' or '.join(_WEIGHTS[::2])}.")


def _download(name: str, file: str) -> Path | None:
    """The path of a hub model's file in the cache, downloaded if need be; None if it has none.

    Raises:
        ModelError: the name is unknown, or the file is not in the cache and the hub is not there.
    """
    try:
        cached = try_to_load_from_cache(name, file)
        if cached is not None:  # a path, or a mark that the hub has no such file
            return Path(cached) if isinstance(cached, str) else None
        # hf_hub_download alone would try an unreachable hub for half a minute.
        get_hf_file_metadata(hf_hub_url(name, file), timeout=HUB_TIMEOUT)
        return Path(hf_hub_download(name, file))
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"there is no folder {name}, and the Hugging Face hub knows no public model of that "
            f"name: check the name, or log in if it is private."
        ) from error
    except HFValidationError as error:
        raise ModelError(
            f"there is no folder {name}, and it is no hub name either: give the folder of a "
            f"checkpoint or a name such as jfkback/hypencoder.6_layer."
        ) from error
    except RemoteEntryNotFoundError:
        return None
    except Exception as error:  # whichever HTTP library the hub's client builds on
        raise ModelError(
            f"the model {name} is neither a folder nor in the Hugging Face cache, and the hub "
            f"cannot be reached: check the name, connect to the internet, or give a folder."
        ) from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} is not readable JSON ({error}): fetch it again.") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than tensors and may run code when read: save the model again, "
            f"as safetensors."
        ) from error
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise ModelError(
            f"{path} is damaged or not a weights file: fetch it again ({error})."
        ) from error


def fill_model(model: DualEncoder, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy a checkpoint's tensors into a model.

    Where the model shares its encoder, one of the two copies is enough, and two must agree. A
    transformer's pooler may be missing: it takes no part in the vectors.

    Args:
        model: the model that its config.json describes.
        tensors: the checkpoint's tensors by name.
        source: what to call the checkpoint in messages.

    Raises:
        ModelError: a tensor is missing, unexpected, of another shape, not finite, or differs from
            the copy it should be; names it.
    """
    tensors = {name: t for name, t in tensors.items() if name.split(".")[-1] not in _NO_WEIGHTS}
    tensors = {_modern_name(name): t for name, t in tensors.items()}
    for copy, original in model.get_expanded_tied_weights_keys().items():
        if copy in tensors and original in tensors:
            if not torch.equal(tensors[copy], tensors[original]):
                raise ModelError(
                    f"{source} has shared_encoder true, but {copy} differs from {original}: "
                    f"set it to false in config.json, or mend the weights."
                )
        elif copy in tensors:
            tensors[original] = tensors[copy]
        elif original in tensors:
            tensors[copy] = tensors[original]
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in tensors and ".pooler." not in name]
    unexpected = [name for name in tensors if name not in wanted]
    if missing:
        raise ModelError(
            f"{source} lacks the weights {_some(missing)}: the checkpoint is incomplete, or its "
            f"config.json belongs to another model."
        )
    if unexpected:
        raise ModelError(
            f"{source} has weights that the model does not know, {_some(unexpected)}: "
            f"config.json belongs to another model."
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise ModelError(
                f"{source}: the weights {name} have the shape {list(tensor.shape)}, but "
                f"config.json asks for {list(wanted[name].shape)}."
            )
        if not bool(tensor.sum(dtype=torch.float32).isfinite()):
            raise ModelError(f"{source}: the weights {name} hold NaN or infinity.")
    for name, target in wanted.items():
        if name in tensors:
            target.copy_(tensors[name])
        else:
            target.zero_()


def _modern_name(name: str) -> str:
    """The present name of a layer norm's weights in checkpoints of BERT's first years."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
