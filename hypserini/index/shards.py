"""Several indexes that are searched as one: a folder of shards with a manifest, or any others."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hypserini.errors import IndexingError, shown
from hypserini.formats.output import atomic_output
from hypserini.formats.reading import placed, read_json
from hypserini.formats.values import Malformed
from hypserini.formats.workplace import Workplace
from hypserini.index.lucene_files import SHARDS, has_commit
from hypserini.index.metadata import PREFIX, IndexMetadata

FORMAT = 1

IndexPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""The folder of an index or of shards; or several, which are searched as one."""

SUMMED = ("consumed", "empty", "truncated")
"""Counts of an index's metadata."""
_AGREED = ("fingerprint", "dimension", "pooling", "l2_norm", "query_prefix", "document_prefix")


@dataclass(frozen=True, slots=True)
class Shards:
    """What a folder of shards says of itself; written when all of them are complete.

    Attributes:
        shards: The names of their folders, in their order.
        documents: How many each had when it was written.
        model: The model that encoded them.
        fingerprint: Of its document encoder's weights.
    """

    shards: list[str]
    documents: list[int]
    model: str
    fingerprint: str
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write the manifest of a folder, whole or not at all."""
        with atomic_output(folder / SHARDS) as file:
            json.dump(asdict(self), file, indent=1)


def read_shards(folder: Path) -> Shards | None:
    """The manifest of a folder; None where there is none.

    Raises:
        IndexingError: It is damaged, or of a newer hypserini.
    """
    path = folder / SHARDS
    if not path.is_file():
        return None
    value = read_json(path, IndexingError, "manifest")
    with placed(str(path), IndexingError):
        if not isinstance(value, dict) or set(value) != set(Shards.__dataclass_fields__):
            raise Malformed("not the manifest of an index's shards: build the index again.")
        if value["format"] != FORMAT:
            raise Malformed(f"of format {shown(value['format'])}: install a newer hypserini.")
        names, counts = value["shards"], value["documents"]
        sound = isinstance(names, list) and isinstance(counts, list) and len(names) == len(counts)
        if not (
            sound
            and names
            and all(isinstance(name, str) and _is_plain(name) for name in names)
            and all(type(count) is int and count >= 0 for count in counts)
            and isinstance(value["model"], str)
            and isinstance(value["fingerprint"], str)
        ):
            raise Malformed("damaged: build the index again, or copy it whole.")
        return Shards(**value)


def _is_plain(name: str) -> bool:
    return name == os.path.basename(name) and name not in ("", ".", "..") and "\0" not in name


def given_paths(paths: IndexPaths) -> list[Path]:
    """The paths as they were given, one or several.

    Raises:
        IndexingError: None is given.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise IndexingError("no index is given: give the folder of one.")
    return [Path(path) for path in given]


def folders_of(paths: IndexPaths) -> list[Path]:
    """The folders of Lucene's indexes that some paths mean.

    Raises:
        IndexingError: One is not there or given twice, or a shard is missing.
    """
    folders: list[Path] = []
    for path in given_paths(paths):
        if not path.is_dir():
            raise IndexingError(f"there is no index at {path}: give the folder of a Lucene index.")
        manifest = read_shards(path)
        if manifest is None and Workplace(path).is_ours and not has_commit(path):
            raise IndexingError(
                f"the index {path} is not complete: go on with its build by --resume."
            )
        if manifest is None:
            folders.append(path)
            continue
        for name in manifest.shards:
            if not (path / name).is_dir():
                raise IndexingError(
                    f"the shard {name} of the index {path} is missing: copy the index whole, or"
                    " build it again."
                )
            folders.append(path / name)
    real = [os.path.realpath(folder) for folder in folders]
    for number, folder in enumerate(folders):
        if real[number] in real[:number]:
            raise IndexingError(f"the index {folder} is given twice: give each one once.")
    return folders


def joined(data: Sequence[dict[str, str]], folders: Sequence[Path]) -> dict[str, str]:
    """The metadata of folders that are searched as one, from the user data of each.

    Raises:
        IndexingError: They were not encoded alike; names two of them and what differs.
    """
    if len(data) == 1:
        return data[0]
    found = [
        IndexMetadata.from_user_data(one, str(folder))
        for one, folder in zip(data, folders, strict=True)
    ]
    known = [one for one in found if one is not None]
    if not known:
        return {}
    for one, folder in zip(found, folders, strict=True):
        if one is None:
            raise IndexingError(
                f"the index {folder} does not say which model it was encoded with, as the others"
                " do: search it alone."
            )
        for name in _AGREED:
            ours, other = getattr(known[0], name), getattr(one, name)
            if ours != other:
                raise IndexingError(
                    f"the index {folder} was encoded with {name} {other or 'unset'} (model"
                    f" {one.model}) and {folders[0]} with {ours or 'unset'} (model"
                    f" {known[0].model}): only indexes of one model are searched as one."
                )
    whole = dict(data[0])
    for name in SUMMED:
        whole[PREFIX + name] = str(sum(getattr(one, name) for one in known))
    whole[PREFIX + "complete"] = str(all(one.complete for one in known))
    return whole
