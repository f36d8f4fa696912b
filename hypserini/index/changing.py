"""Adds documents to an index and deletes some, by one commit: a search meets all of it or none."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from hypserini.defaults import index_path
from hypserini.errors import IndexingError
from hypserini.formats.collection import Collection
from hypserini.formats.workplace import LOCK
from hypserini.index import lucene_files
from hypserini.index.build import build_index
from hypserini.index.consumed import Consumed
from hypserini.index.metadata import PREFIX, IndexMetadata, find_model, written
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.index.sharded import ShardOfCollection
from hypserini.index.shards import SUMMED, Shards, folders_of, read_shards

logger = logging.getLogger(__name__)

AT_ONCE = 65536

_TAKEN = PREFIX + "taken"
"""Under this, an index keeps which other it took in last."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of an index: documents that were added, and that were deleted or replaced."""

    added: int
    deleted: int


def change_index(
    index: str | os.PathLike[str],
    *,
    add: str | Path | None = None,
    delete: str | Iterable[str] | None = None,
    options: IndexOptions | None = None,
    model: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    resume: bool = False,
    progress: bool = True,
) -> Changed:
    """Delete documents of an index and add others, by one commit; of shards, by one each.

    What is added is encoded as the index was, into an index beside it, `INDEX.added`, with commits
    of its own, and taken in as it is. A document whose docid is there replaces the other.

    Args:
        index: The folder of an index, or of shards.
        add: A collection, as of `build_index`.
        delete: A query in Lucene's syntax, or docids; those that are not there are told.
        options: Batches, threads, memory and commits; all else is as the index was made.
        model: Where the index's model lies, if not where it was.
        device, dtype: As of `build_index`.
        resume: Go on where an interrupted call was committed last.

    Raises:
        IndexingError: The index is missing, another process writes to it, none of the docids is in
            it, or the query cannot be parsed.
        CollectionError: The collection is missing or malformed.
        ModelError: The model cannot be loaded or has other weights.
    """
    index = Path(os.path.realpath(index_path(index)))  # other folders lie beside it
    folders = folders_of(index)
    of_shards = read_shards(index) is not None
    if of_shards:
        _recount(index)  # after a call that was killed
    wanted = options or IndexOptions()
    if not (isinstance(delete, str) or delete is None):
        delete = sorted(set(delete))
        _tell_missing(folders, delete, resume)
    metadata = [_metadata(folder) for folder in folders]
    encoder = None
    if add is not None:
        encoder = _encoder(metadata[0], folders[0], model, device, dtype)
    with Index(folders) as opened:
        similarity = opened.similarity  # what is empty says none
    similarity = similarity or next((one.similarity for one in metadata if one.similarity), None)
    likes = [replace(wanted.like(one), similarity=similarity) for one in metadata]
    besides: list[Path | None] = [None] * len(folders)
    if add is not None and encoder is not None:
        for number, (folder, like) in enumerate(zip(folders, likes, strict=True)):
            source = (
                ShardOfCollection(add, like.fields, number, len(folders))
                if of_shards
                else Collection(add, like.fields)
            )
            beside = folder.with_name(folder.name + ".added")
            like = replace(like, similarity=like.similarity or similarity)
            _encode_beside(source, beside, like, encoder, metadata[number], resume, progress)
            similarity = similarity or _metadata(beside).similarity or None
            besides[number] = beside
    changed = Changed(0, 0)
    for folder, like, taken in zip(folders, likes, besides, strict=True):
        one = _change(folder, like, taken, delete)
        changed = Changed(changed.added + one.added, changed.deleted + one.deleted)
    if of_shards:
        _recount(index)
        lucene_files.remove_notes(index)
    for taken in filter(None, besides):  # not before all shards have theirs: a kill can be mended
        lucene_files.remove(taken)
        (taken / LOCK).unlink(missing_ok=True)  # of a build that was killed at its very end
        taken.rmdir()
    return changed


def _encode_beside(
    source: Collection,
    beside: Path,
    options: IndexOptions,
    encoder: dict[str, Any],
    metadata: IndexMetadata,
    resume: bool,
    progress: bool,
) -> None:
    building = beside.with_name(beside.name + ".building")
    if not resume:
        for left in (beside, building):
            if lucene_files.has_commit(left):
                raise IndexingError(
                    f"an unfinished addition lies in {left}: give --resume to go on with it, or"
                    " remove that folder to start again."
                )
    elif lucene_files.has_commit(beside):
        _check_complete(source, beside, metadata)
        return
    build_index(
        source,
        beside,
        options=options,
        resume=resume and building.exists(),
        progress=progress,
        **encoder,
    )


def _check_complete(source: Collection, beside: Path, metadata: IndexMetadata) -> None:
    """Refuse an addition that is complete but of another collection or model than is asked for."""
    noted = _user_data(beside)
    added = _metadata(beside)
    for what, before, now in (
        ("of", added.collection, written(str(source.path))),
        ("encoded by weights", added.fingerprint, metadata.fingerprint),
    ):
        if before != now:
            raise IndexingError(
                f"the addition in {beside} is {what} {before}, not {now}: give the same to resume,"
                " or remove that folder to start again."
            )
    Consumed(source).check_whole(added.consumed, noted)


def _change(
    folder: Path, options: IndexOptions, beside: Path | None, delete: str | Sequence[str] | None
) -> Changed:
    """Delete, and take in what lies beside, by one commit; nothing that was taken in is again."""
    metadata = _metadata(folder)
    before = _committed(folder)
    added = 0
    identity = "" if beside is None else _identity(beside)
    if beside is not None and _user_data(folder).get(_TAKEN) == identity:
        return Changed(_committed(beside), 0)
    with options.writer(folder, metadata.dimension, append=True) as writer:
        if isinstance(delete, str):
            writer.delete_matching(delete)
        for part in _parts(delete or ()) if not isinstance(delete, str) else ():
            writer.delete(part, for_good=True)
        if beside is not None:
            with Index(beside) as new:
                added = new.num_docs
                metadata = _sum(metadata, new)
                docids = new.docids()
                while part := list(islice(docids, AT_ONCE)):
                    writer.delete(part, for_good=True)
            if added:
                writer.add_indexes([beside])
        writer.finish_merges()
        writer.commit({**metadata.to_user_data(), _TAKEN: identity})
    lucene_files.remove_notes(folder)
    return Changed(added, before + added - _committed(folder))


def _sum(metadata: IndexMetadata, new: Index) -> IndexMetadata:
    """The metadata of an index that has taken another in."""
    other = IndexMetadata.from_user_data(new.metadata, str(new.path))
    assert other is not None
    summed = {name: getattr(metadata, name) + getattr(other, name) for name in SUMMED}
    return replace(metadata, **summed)


def _identity(folder: Path) -> str:
    """What no other commit of any index has."""
    last = max(folder.glob("segments_*"), key=lambda path: int(path.name.split("_")[1], 36))
    return hashlib.sha256(last.read_bytes()).hexdigest()


def _user_data(folder: Path) -> dict[str, str]:
    with Index(folder) as index:
        return index.metadata


def _metadata(folder: Path) -> IndexMetadata:
    metadata = IndexMetadata.from_user_data(_user_data(folder), str(folder))
    if metadata is None:
        raise IndexingError(
            f"the index {folder} was not made by hypserini, which cannot tell how its documents are"
            " encoded: change it with what made it."
        )
    return metadata


def _encoder(
    metadata: IndexMetadata, folder: Path, named: str | None, device: str, dtype: str
) -> dict[str, Any]:
    """The model that encoded an index, as `build_index` takes it."""
    # Deleting alone needs none of what these import.
    from hypserini.modeling import load_model
    from hypserini.modeling.devices import choose_devices

    name = named or find_model(metadata, folder)
    first, *others = choose_devices(device)
    loaded = load_model(name, device=first, dtype=dtype, settings=metadata.settings)
    if loaded.fingerprint != metadata.fingerprint:
        raise IndexingError(
            f"the index {folder} was encoded by other weights of {metadata.model} than {name} has:"
            " name the model with --model."
        )
    if not others:
        return {"model": loaded}
    # Each of them gets a copy.
    return {"model": name, "settings": metadata.settings, "device": device, "dtype": dtype}


def _committed(folder: Path) -> int:
    with Index(folder) as index:
        return index.num_docs


def _tell_missing(folders: Sequence[Path], docids: Sequence[str], resume: bool) -> None:
    index = ", ".join(map(str, folders))
    with Index(folders) as opened:
        there = opened.holds(docids)
    missing = [docid for docid, held in zip(docids, there, strict=True) if not held]
    if docids and len(missing) == len(docids) and not resume:
        raise IndexingError(
            f"none of the {len(docids):,} docids is in the index {index} (the first is"
            f" {docids[0]}): there is nothing to delete."
        )
    if missing:
        logger.warning(
            "%s of %s docids are not in the index %s (the first is %s)",
            *(f"{len(missing):,}", f"{len(docids):,}", index, missing[0]),
        )


def _parts(docids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (docids[start : start + AT_ONCE] for start in range(0, len(docids), AT_ONCE))


def _recount(folder: Path) -> None:
    """Write the manifest of a folder of shards anew, with what they hold now."""
    manifest = read_shards(folder)
    assert manifest is not None
    counts = [_committed(folder / name) for name in manifest.shards]
    Shards(manifest.shards, counts, manifest.model, manifest.fingerprint).write(folder)
