"""q-nets kept in a folder, so that queries are encoded once and searched with often.

The folder holds `q_nets.json` (the kind of q-net, the query ids, the model they come from) and
safetensors files of a batch of q-nets each, which are mapped into memory and read in part.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hypserini.errors import ModelError, OutputError, TopicsError, named, shown
from hypserini.formats.output import atomic_folder
from hypserini.formats.reading import read_json
from hypserini.formats.values import Malformed
from hypserini.modeling import QNet, QNetConfig, q_net_config

INDEX_FILE = "q_nets.json"
FORMAT = 1


def save_q_nets(
    folder: str | os.PathLike[str],
    qids: Sequence[str],
    batches: Iterable[QNet],
    metadata: Mapping[str, str],
) -> None:
    """Write q-nets into a folder that appears whole or not at all; one batch is held at a time.

    Args:
        folder: The folder to make.
        qids: The query ids, in the order of the q-nets.
        batches: The q-nets of all queries, in batches of any size.
        metadata: What to record: `model` and `fingerprint` are compared before a search.

    Raises:
        OutputError: The folder exists or cannot be written.
        ModelError: A q-net has a weight that is not finite; names the query.
    """
    with atomic_folder(folder) as beside:
        files: list[dict[str, Any]] = []
        config: QNetConfig | None = None
        saved = 0
        for number, q_net in enumerate(batches):
            q_net.check_finite(qids[saved : saved + len(q_net)])
            name = f"q_nets-{number:05}.safetensors"
            _save(
                {key: value.cpu() for key, value in q_net.tensors().items()}, beside / name, folder
            )
            files.append({"file": name, "qids": list(qids[saved : saved + len(q_net)])})
            saved += len(q_net)
            config = q_net.config
        if config is None or saved != len(qids):
            raise ValueError(f"{len(qids)} query ids but {saved} q-nets")
        index = {
            "format": FORMAT,
            "q_net": config.to_dict(),
            "metadata": dict(metadata),
            "files": files,
        }
        (beside / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _save(tensors: dict[str, Any], file: Path, folder: str | os.PathLike[str]) -> None:
    try:
        save_file(tensors, file)
    except SafetensorError as error:  # what the operating system said, in Rust's words
        raise OutputError(
            f"cannot write {folder} ({error}): make room there, or choose another output folder."
        ) from error


class SavedQNets:
    """A folder that `save_q_nets` wrote.

    Attributes:
        qids: The query ids, in the order they were saved.
        metadata: What was recorded with them.

    Raises:
        ModelError: The folder is missing or damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX_FILE
        if not os.path.isfile(path):
            raise ModelError(
                f"there are no saved q-nets in {folder} (no {INDEX_FILE}): make them with "
                "`python -m hypserini.encode`."
            )
        index = read_json(path, ModelError, "index of q-nets")
        if isinstance(index, dict) and index.get("format", FORMAT) != FORMAT:
            raise ModelError(
                f"the q-nets in {folder} have format {shown(index['format'])} and this hypserini "
                f"reads {FORMAT}: encode the topics again."
            )
        try:
            self.metadata = _metadata(index["metadata"])
            self.config = q_net_config(index["q_net"])
            self._place = _places(index["files"])
        except (
            ArithmeticError,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
            Malformed,
        ) as error:
            raise ModelError(f"{path} is damaged ({error}): encode the topics again.") from error
        self.qids = list(self._place)

    def load(self, qids: Sequence[str]) -> QNet:
        """The q-nets of some queries, in the order asked for.

        Raises:
            TopicsError: A query was not saved.
            ModelError: A file is missing or damaged.
        """
        for qid in qids:
            if qid not in self._place:
                raise TopicsError(
                    f"there is no q-net of topic {qid} in {self.folder}: encode these topics."
                )
        parts: list[QNet] = []
        start = 0
        while start < len(qids):
            file, row = self._place[qids[start]]
            end = start + 1
            # Neighbours, the common case, are read in one piece.
            while end < len(qids) and self._place[qids[end]] == (file, row + end - start):
                end += 1
            parts.append(self._read(file, row, row + end - start))
            start = end
        return QNet.cat(parts)

    def _read(self, name: str, first: int, end: int) -> QNet:
        path = self.folder / name
        try:
            with safe_open(path, framework="pt") as file:
                # Copies: the file is mapped, where weights lie as its header's length has it, and
                # products with weights that do not begin a cache line take half as long again.
                rows = {
                    key: file.get_slice(key)[first:end].clone()
                    for key in file.keys()  # noqa: SIM118
                }
        except (
            OSError,
            SafetensorError,
            RuntimeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise ModelError(
                f"{path} cannot be read ({error}): encode the topics again."
            ) from error
        dtypes = {tensor.dtype for tensor in rows.values()}
        if len(dtypes) > 1 or not all(dtype.is_floating_point for dtype in dtypes):
            raise ModelError(f"{path} is damaged (it holds {named(dtypes)}): encode them again.")
        q_net = QNet.from_tensors(self.config, rows)
        if len(q_net) != end - first:
            raise ModelError(f"{path} holds too few q-nets: encode the topics again.")
        return q_net


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise Malformed(f"the metadata are {shown(value)}")
    return value


def _places(files: Any) -> dict[str, tuple[str, int]]:
    """The file of each query's q-net, and its row there."""
    places: dict[str, tuple[str, int]] = {}
    for file in files:
        name = file["file"]
        if not isinstance(name, str) or Path(name).name != name:
            raise Malformed(f"{shown(name)} is no file of the folder")
        for row, qid in enumerate(file["qids"]):
            if not isinstance(qid, str) or qid in places:
                raise Malformed(f"the query id {shown(qid)} is no text, or occurs twice")
            places[qid] = name, row
    return places
