"""Q-nets in files: a folder of safetensors, and an index of whose q-net lies where."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypserini.errors import ModelError, OutputError
from hypserini.files import check_writable
from hypserini.modeling import QNet, QNetConfig

INDEX = "q-nets.json"
FORMAT = 1


def check_free(folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Return `folder` if saved q-nets can be put there; call it before long work.

    Raises:
        OutputError: it cannot be written, or is there already and must not, or can not, be
            replaced.
    """
    path = Path(folder)
    if path.exists():
        if not overwrite:
            raise OutputError(f"{path} is already there: give --overwrite to replace it.")
        if not (path / INDEX).is_file() and (path.is_file() or any(path.iterdir())):
            raise OutputError(f"{path} holds something else than q-nets: choose another folder.")
    check_writable(path.with_name(f".{path.name}.probe"))
    return path


def save_q_nets(
    folder: str | os.PathLike[str],
    qids: Sequence[str],
    batches: Iterable[QNet],
    metadata: Mapping[str, str],
    *,
    overwrite: bool = False,
) -> None:
    """Save the q-nets of some queries, one file a batch.

    The folder is written beside its place and renamed when it is whole, so that an interrupted
    run leaves none.

    Args:
        folder: where; it must not be there unless `overwrite`.
        qids: the queries' ids, all different.
        batches: q-nets of one config, as many in all as there are ids, in their order.
        metadata: what should be known of them later, such as `model` and `fingerprint`.
        overwrite: replace saved q-nets that are there.

    Raises:
        OutputError: as `check_free` says.
        ModelError: a q-net holds NaN or infinity; names the query.
    """
    from safetensors.torch import save_file

    path = check_free(folder, overwrite)
    if len(set(qids)) != len(qids):
        raise ValueError("query ids must be unique")
    config: dict[str, Any] = {}
    shards: list[dict[str, Any]] = []
    saved = 0
    with _folder_beside(path) as beside:
        for batch in batches:
            names = list(qids[saved : saved + len(batch)])
            if len(names) < len(batch):
                raise ValueError(f"more q-nets than the {len(qids)} query ids")
            batch.check_finite(names)
            config = batch.config.to_dict()
            file = f"q-nets-{len(shards):05}.safetensors"
            save_file({name: t.cpu() for name, t in batch.tensors().items()}, beside / file)
            shards.append({"file": file, "qids": names})
            saved += len(batch)
        if saved < len(qids):
            raise ValueError(f"{saved} q-nets for {len(qids)} query ids")
        index = {
            "format": FORMAT,
            "config": config,
            "metadata": dict(metadata),
            "shards": shards,
        }
        (beside / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of `path` when the block succeeds, and else vanishes."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    beside.mkdir()
    try:
        yield beside
        if path.exists():
            path.rename(old)
        beside.rename(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


class SavedQNets:
    """Reads what `save_q_nets` wrote; only the q-nets asked for are read.

    Attributes:
        qids: the ids of the queries, in the order they were saved in.
        metadata: what was saved with them.
        config: the q-nets' config.

    Raises:
        ModelError: the folder is not there or not readable.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            if index["format"] != FORMAT:
                raise ValueError(f"format {index['format']} instead of {FORMAT}")
            self.metadata: dict[str, str] = index["metadata"]
            self._shards = [(shard["file"], shard["qids"]) for shard in index["shards"]]
            config = index["config"]
        except FileNotFoundError as error:
            raise ModelError(
                f"{self.folder} holds no q-nets: save some with python -m hypserini.encode."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path} is not readable ({error}): encode the topics again."
            ) from error
        self.config = QNetConfig.from_dict(config) if config else None
        self._places = {
            qid: (file, row) for file, qids in self._shards for row, qid in enumerate(qids)
        }
        self.qids = list(self._places)

    def __len__(self) -> int:
        return len(self.qids)

    def load(self, qids: Sequence[str]) -> QNet:
        """The q-nets of one or more queries, in the order given, on the CPU.

        Raises:
            ModelError: there is none for a query, or its file is missing or damaged.
        """
        parts: list[QNet] = []
        for qid in qids:
            if qid not in self._places:
                raise ModelError(
                    f"{self.folder} has no q-net of the query {qid}: encode these topics with "
                    f"python -m hypserini.encode."
                )
        start = 0
        while start < len(qids):
            # Consecutive ones are read in one go.
            file, row = self._places[qids[start]]
            end = start + 1
            while end < len(qids) and self._places[qids[end]] == (file, row + end - start):
                end += 1
            parts.append(self._read(file, row, row + end - start))
            start = end
        return QNet.cat(parts)

    def _read(self, file: str, first: int, end: int) -> QNet:
        from safetensors import SafetensorError, safe_open

        assert self.config is not None
        try:
            with safe_open(self.folder / file, "pt") as tensors:
                rows = {name: tensors.get_slice(name)[first:end] for name in tensors.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{self.folder / file} is missing or damaged: encode the topics again."
            ) from error
        return QNet.from_tensors(self.config, rows)
