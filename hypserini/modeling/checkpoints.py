"""Finding a checkpoint's files, in a folder or on the hub."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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
from torch import Tensor

from hypserini.errors import MissingModelError, ModelError
from hypserini.modeling.tensors import read_tensors

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
    "tokenizer.model",
)


class Checkpoint:
    """The files of one checkpoint.

    Args:
        name_or_path: a folder, the name of the bundled model, or a name on the Hugging Face hub,
            whose files come from its cache or are downloaded when first asked for.

    Attributes:
        name: what the user called it.
        folder: where its files lie, or those of its `part`.

    Raises:
        MissingModelError: there is no such folder or model, or the hub cannot be reached.
        ModelError: the folder is no checkpoint.
    """

    def __init__(self, name_or_path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(name_or_path)
        path = _local(self.name)
        self._on_hub = path is None
        self._reachable = True
        self._part = ""
        # The first models of sentence-transformers have their config.json in a folder below.
        for name in ("config.json", "modules.json"):
            found = _download(self.name, name) if path is None else path / name
            if found is not None and found.is_file():
                self._root = found.parent
                return
        raise ModelError(f"{self.name} has no config.json: give the folder of a checkpoint.")

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._root / self._part

    @property
    def place(self) -> str:
        """The name under which the checkpoint is found from any working directory."""
        if self._on_hub or self.name == BUNDLED:
            return self.name
        return os.path.abspath(self._root)

    def part(self, path: str) -> Checkpoint:
        """The checkpoint in a folder within this one; `path` with slashes, "" for itself.

        Raises:
            ModelError: the path leads out of this one.
        """
        if path.startswith(("/", "\\")) or ".." in Path(path).parts or ":" in path:
            raise ModelError(f"{self.name} names {path}, which lies outside of it: mend the path.")
        part = object.__new__(Checkpoint)
        part.__dict__.update(self.__dict__, _part=os.path.normpath(path) if path else "")
        return part

    def file(self, name: str) -> Path | None:
        """The path of one file, or None when the checkpoint has no such file."""
        path = self.folder / name
        if path.is_file():
            return path
        if self._on_hub and self._reachable:
            try:
                return _download(self.name, f"{self._part}/{name}" if self._part else name)
            except ModelError:
                self._reachable = False  # what is in the cache has to do; do not wait again
        return None

    def config(self) -> dict[str, Any]:
        """The contents of config.json.

        Raises:
            ModelError: there is none, or it is no JSON object.
        """
        values = self.object("config.json")
        if values is None:
            raise ModelError(f"{self.folder} has no config.json: give the folder of a checkpoint.")
        return values

    def json(self, name: str) -> Any:
        """The contents of another JSON file, or None when there is none."""
        path = self.file(name)
        return None if path is None else _read_json(path)

    def object(self, name: str) -> dict[str, Any] | None:
        """The contents of a JSON file that holds an object, or None when there is none.

        Raises:
            ModelError: it holds something else.
        """
        values = self.json(name)
        if values is not None and not isinstance(values, dict):
            raise ModelError(f"{self.folder / name} holds no keys and values: fetch it again.")
        return values

    def fetch_small_files(self) -> None:
        """Have the tokenizer's files in `folder`, where other code reads them."""
        for name in _TOKENIZER:
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
                return read_tensors(path)
            tensors: dict[str, Tensor] = {}
            for shard in _shards(path):
                shard_path = self.file(shard)
                if shard_path is None:
                    raise ModelError(f"{path} names the shard {shard}, which is missing beside it.")
                tensors.update(read_tensors(shard_path))
            return tensors
        raise ModelError(f"{self.folder} has no weights: expected {' or '.join(_WEIGHTS[::2])}.")


def _local(name: str) -> Path | None:
    """The folder that a name means, or None for a name on the hub."""
    try:
        path = Path(name).expanduser()
        there, is_file = path.exists(), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise MissingModelError(f"{name!r} names no model that can be read ({error}).") from error
    if name == BUNDLED and not path.is_dir():
        path = Path(__file__).parent.parent / "models" / BUNDLED
        if not path.is_dir():
            raise ModelError(
                f"the bundled model {BUNDLED} is missing from this installation ({path}): "
                f"install the package again, or name another model."
            )
        return path
    if is_file:
        raise ModelError(f"{path} is a file: give the checkpoint's folder or a hub name.")
    return path if there else None


def _download(name: str, file: str) -> Path | None:
    """The path of a hub model's file in the cache, downloaded if need be; None if it has none.

    Raises:
        MissingModelError: the name is unknown, or the file is not in the cache and the hub is not
            there.
    """
    try:
        cached = try_to_load_from_cache(name, file)
        if cached is not None:  # a path, or a mark that the hub has no such file
            return Path(cached) if isinstance(cached, str) else None
        # hf_hub_download alone would try an unreachable hub for half a minute.
        get_hf_file_metadata(hf_hub_url(name, file), timeout=HUB_TIMEOUT)
        return Path(hf_hub_download(name, file))
    except RepositoryNotFoundError as error:
        raise MissingModelError(
            f"there is no folder {name}, and the Hugging Face hub knows no public model of that "
            f"name: check the name, or log in if it is private."
        ) from error
    except HFValidationError as error:
        raise MissingModelError(
            f"there is no folder {name}, and it is no hub name either: give the folder of a "
            f"checkpoint or a name such as jfkback/hypencoder.6_layer."
        ) from error
    except RemoteEntryNotFoundError:
        return None
    except Exception as error:  # whichever HTTP library the hub's client builds on
        raise MissingModelError(
            f"the model {name} is neither a folder nor in the Hugging Face cache, and the hub "
            f"cannot be reached: check the name, connect to the internet, or give a folder."
        ) from error


def _shards(index: Path) -> list[str]:
    """The files that an index of shards names."""
    try:
        shards = sorted(set(_read_json(index)["weight_map"].values()))
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} has no weight_map of shards: fetch it again.") from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise ModelError(f"{index} names {shard!r}, which is no file beside it.")
    return shards


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"{path} is not readable JSON ({error}): fetch it again.") from error
