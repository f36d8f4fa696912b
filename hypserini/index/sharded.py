"""Builds an index as several shards: the documents are shared out by their docids."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini.defaults import index_path
from hypserini.errors import IndexingError
from hypserini.formats.collection import Collection, Document
from hypserini.formats.workplace import BusyError, ForeignError, Workplace
from hypserini.index import lucene_files
from hypserini.index.build import build_index
from hypserini.index.metadata import IndexMetadata
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.index.shards import Shards, read_shards
from hypserini.settings import EncodingSettings

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

MOST = 1000
"""Shards; each holds files open while it is searched."""


def shard_of(docid: str, shards: int) -> int:
    """Which of so many shards a document belongs to; the same on every machine."""
    return zlib.crc32(docid.encode(errors="replace")) % shards


class ShardOfCollection(Collection):
    """The documents of a collection that belong to one of several shards.

    Args:
        collection: The path or name of the collection.
        fields: As of `Collection`.
        number: Which shard, from 0.
        shards: How many there are.
    """

    def __init__(
        self, collection: str | Path, fields: tuple[str, ...] | None, number: int, shards: int
    ) -> None:
        super().__init__(collection, fields)
        self._number = number
        self._shards = shards

    @property
    def total_documents(self) -> int | None:
        """Not known before all were read."""
        return None

    def read(self, skip: int = 0) -> Iterator[Document]:
        """As in `Collection`; none is parsed twice, so none is skipped unparsed."""
        assert not skip
        return (
            document
            for document in super().read()
            if shard_of(document.docid, self._shards) == self._number
        )


@dataclass(frozen=True)
class ShardBuild:
    """How the shards of an index are built; can be sent to another process.

    Attributes:
        source: The path or name of the collection.
        target: The folder of the shards.
        model: The model's name or folder.
        options: How each is built.
        shards: How many there are.
        settings: How texts are encoded, beyond what the model's folder says.
        device: As `build_index` takes it, like the next.
        dtype: The number format of the encoder.
        name: What to record as the collection's name.
    """

    source: str
    target: Path
    model: str
    options: IndexOptions
    shards: int
    settings: EncodingSettings | None
    device: str
    dtype: str
    name: str

    def folder(self, number: int) -> Path:
        """The folder of a shard."""
        return self.target / shard_name(number)

    def collection(self, number: int) -> ShardOfCollection:
        """The documents of a shard."""
        return ShardOfCollection(self.source, self.options.fields, number, self.shards)

    def complete(self, number: int) -> IndexMetadata | None:
        """The metadata of a shard that is complete."""
        folder = self.folder(number)
        if not lucene_files.has_commit(folder):
            return None
        with Index(folder) as index:
            return IndexMetadata.from_user_data(index.metadata, str(folder))

    def build(
        self, number: int, model: str | DualEncoder, *, progress: bool = False
    ) -> IndexMetadata:
        """Build a shard, go on with one that was begun, or leave one that is complete."""
        folder = self.folder(number)
        return self.complete(number) or build_index(
            self.collection(number),
            folder,
            model,
            self.options,
            settings=self.settings if isinstance(model, str) else None,
            device=self.device,
            dtype=self.dtype,
            resume=folder.with_name(folder.name + ".building").exists(),
            progress=progress,
            collection_name=self.name,
        )


def shard_name(number: int) -> str:
    """The name of a shard's folder."""
    return f"shard-{number:03}"


Way = Callable[[ShardBuild], list[IndexMetadata]]
"""How all shards of a build are built."""


def build_shards(
    collection: str | Path,
    index: str | Path,
    model: str | os.PathLike[str] | DualEncoder,
    options: IndexOptions,
    shards: int,
    *,
    settings: EncodingSettings | None = None,
    device: str = "auto",
    dtype: str = "float32",
    resume: bool = False,
    progress: bool = True,
    collection_name: str | None = None,
    elsewhere: Way | None = None,
) -> list[IndexMetadata]:
    """Encode a collection into a folder of shards, one after the other.

    The folder is an index once all are complete. A document lies in the shard that `shard_of` says.

    Args:
        shards: How many.
        resume: Go on where an interrupted build was committed last; complete shards stay.
        elsewhere: What builds them instead (`on_cluster.py`); it takes no loaded model.

    The other arguments are those of `build_index`.

    Returns:
        The metadata of each.

    Raises:
        IndexingError: Something is in the way, or what is to be resumed was begun otherwise.
    """
    if not 1 <= shards <= MOST:
        raise IndexingError(f"{shards} shards are too many or too few: give 1 to {MOST}.")
    target = Path(os.path.realpath(index_path(index)))
    name = collection_name or str(collection)
    place = Workplace(target)
    _claim(place, {"shards": shards, "collection": name}, resume)
    try:
        named = _absolute(os.fspath(model)) if isinstance(model, str | os.PathLike) else ""
        source = _absolute(str(collection))
        how = (settings, device, dtype, name)
        build = ShardBuild(source, target, named, options, shards, *how)
        if elsewhere is not None:
            built = elsewhere(build)
        else:
            built = _one_after_another(build, model, progress)
        Shards(
            [shard_name(number) for number in range(shards)],
            [one.consumed for one in built],
            built[0].model,
            built[0].fingerprint,
        ).write(target)
        place.leave()
    finally:
        place.release()
    return built


def _one_after_another(
    build: ShardBuild, model: str | os.PathLike[str] | DualEncoder, progress: bool
) -> list[IndexMetadata]:
    if isinstance(model, str | os.PathLike):
        from hypserini.modeling import load_model

        model = load_model(model, device=build.device, dtype=build.dtype, settings=build.settings)
    built: list[IndexMetadata] = []
    for number in range(build.shards):
        built.append(build.build(number, model, progress=progress))
        options = replace(build.options, similarity=built[0].similarity or None)
        build = replace(build, options=options)
    return built


def _absolute(path: str) -> str:
    """A path that means the same in every process; a name as it is."""
    return os.path.abspath(path) if os.path.exists(path) else path


def _claim(place: Workplace, notes: dict[str, Any], resume: bool) -> None:
    """Take the folder of the shards, new or to be gone on with."""
    target = place.folder
    if read_shards(target) is not None or lucene_files.has_commit(target):
        raise IndexingError(f"the index {target} exists: choose another --index for the shards.")
    begun = place.is_ours
    if begun and not resume:
        raise IndexingError(
            f"an unfinished build of shards lies in {target}: give --resume to go on with it, or"
            " another --index."
        )
    if resume and not begun:
        raise IndexingError(
            f"there is no unfinished build of shards at {target}: leave --resume out to start one."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        place.claim()
    except BusyError:
        raise IndexingError(
            f"another process is building the index {target}: wait until it has ended."
        ) from None
    except ForeignError:
        raise IndexingError(
            f"{target} exists and was not made by hypserini: choose another --index."
        ) from None
    except OSError as error:
        raise IndexingError(
            f"cannot make an index at {target} ({error.strerror}): choose another --index."
        ) from error
    noted = place.notes
    if begun and noted and noted != notes:
        place.release()
        raise IndexingError(
            f"the build in {target} was begun with --shards {noted.get('shards')} of"
            f" {noted.get('collection')}: give the same to resume, or another --index."
        )
    place.note(**notes)
