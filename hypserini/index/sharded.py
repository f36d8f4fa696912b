"""Builds an index as several shards: the documents are shared out by their docids."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypserini.defaults import index_path
from hypserini.errors import IndexingError
from hypserini.formats.collection import Collection, Document
from hypserini.formats.workplace import LOCK, BusyError, ForeignError, Workplace
from hypserini.index import lucene_files
from hypserini.index.build import build_index
from hypserini.index.consumed import Consumed
from hypserini.index.metadata import IndexMetadata
from hypserini.index.options import IndexOptions
from hypserini.index.reader import Index
from hypserini.index.shards import Shards, joined, read_shards
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
        generation: Tells their folders from those of shards that they replace.
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
    generation: str = ""

    @property
    def names(self) -> list[str]:
        """The names of all shards' folders."""
        return [shard_name(number, self.generation) for number in range(self.shards)]

    def folder(self, number: int) -> Path:
        """The folder of a shard."""
        return self.target / shard_name(number, self.generation)

    def collection(self, number: int) -> ShardOfCollection:
        """The documents of a shard."""
        return ShardOfCollection(self.source, self.options.fields, number, self.shards)

    def complete(self, number: int) -> IndexMetadata | None:
        """The metadata of a shard that is complete.

        Raises:
            CollectionError: The collection has changed since.
        """
        folder = self.folder(number)
        if not lucene_files.has_commit(folder):
            return None
        with Index(folder) as index:
            noted = index.metadata
        metadata = IndexMetadata.from_user_data(noted, str(folder))
        if metadata is not None:
            Consumed(self.collection(number)).check_whole(metadata.consumed, noted)
        return metadata

    def build(
        self, number: int, model: str | DualEncoder, *, progress: bool = False
    ) -> IndexMetadata:
        """Build a shard, go on with one that was begun, or leave one that is complete."""
        folder = self.folder(number)
        done = self.complete(number)
        if done is not None and not isinstance(model, str):
            _check_model(done, model, folder)
        return done or build_index(
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


def _check_model(done: IndexMetadata, model: DualEncoder, folder: Path) -> None:
    if done.fingerprint != model.fingerprint:
        raise IndexingError(
            f"{folder} was encoded by {done.model}, which has other weights than {model.name}: give"
            " the same --model to resume, or --overwrite to start again."
        )


GENERATIONS = ("", "b")
"""Shards that replace others grow beside these, under the other kind of name."""

_NAMED = re.compile(r"shard-\d{3}(b?)(\.building)?")


def shard_name(number: int, generation: str = "") -> str:
    """The name of a shard's folder."""
    return f"shard-{number:03}{generation}"


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
    dtype: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    collection_name: str | None = None,
    elsewhere: Way | None = None,
) -> list[IndexMetadata]:
    """Encode a collection into a folder of shards, one after the other.

    The folder is an index once all are complete. A document lies in the shard that `shard_of` says.
    Shards that are replaced stay in use until the manifest names the new ones, which grow in the
    same folder.

    Args:
        shards: How many.
        resume: Go on where an interrupted build was committed last; complete shards stay.
        overwrite: Replace shards, or an unfinished build of some, that are there.
        elsewhere: What builds them instead (`on_cluster.py`); it takes no loaded model.

    The other arguments are those of `build_index`.

    Returns:
        The metadata of each.

    Raises:
        IndexingError: Something is in the way, or what is to be resumed was begun otherwise.
    """
    if not 1 <= shards <= MOST:
        raise IndexingError(f"{shards} shards are too many or too few: give 1 to {MOST}.")
    if resume and overwrite:
        raise IndexingError("--resume and --overwrite exclude each other: give one of them.")
    target = Path(os.path.realpath(index_path(index)))
    name = collection_name or str(collection)
    place = Workplace(target)
    begun_with = {
        "shards": shards,
        "collection": name,
        "fields": ",".join(options.fields or ()),
        "max-length": options.max_length,
        "vectors": options.vectors,
    }
    generation = _claim(place, begun_with, resume, overwrite)
    try:
        if not resume:
            _remove_generation(target, generation)
        named = _absolute(os.fspath(model)) if isinstance(model, str | os.PathLike) else ""
        source = _absolute(str(collection))
        how = (settings, device, dtype, name, generation)
        build = ShardBuild(source, target, named, options, shards, *how)
        if elsewhere is not None:
            built = elsewhere(build)
        else:
            built = _one_after_another(build, model, progress)
        # Refuses shards of two models, before others are removed for them.
        joined([one.to_user_data() for one in built], [target / name for name in build.names])
        documents = [one.consumed for one in built]
        Shards(build.names, documents, built[0].model, built[0].fingerprint).write(target)
        _remove_generation(target, _other(generation))
        lucene_files.remove_notes(target)
        place.leave()
    except BaseException:
        if not any(_of_generation(target, generation)):
            place.remove()
        raise
    finally:
        place.release()
    return built


def _other(generation: str) -> str:
    return GENERATIONS[1 - GENERATIONS.index(generation)]


def _of_generation(target: Path, generation: str) -> Iterator[Path]:
    """The folders of shards of one generation, complete or not."""
    for folder in sorted(target.glob("shard-*")):
        named = _NAMED.fullmatch(folder.name)
        if named and named[1] == generation and folder.is_dir():
            yield folder


def _remove_generation(target: Path, generation: str) -> None:
    """Remove the shards of one generation, but for what is the user's in their folders."""
    for folder in _of_generation(target, generation):
        lucene_files.remove(folder)
        (folder / LOCK).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _one_after_another(
    build: ShardBuild, model: str | os.PathLike[str] | DualEncoder, progress: bool
) -> list[IndexMetadata]:
    if isinstance(model, str | os.PathLike):
        from hypserini.modeling import load_model
        from hypserini.modeling.devices import choose_devices

        device, *others = choose_devices(build.device)
        model = os.fspath(model)
        if not others:  # which get copies for each shard
            model = load_model(model, device=device, dtype=build.dtype, settings=build.settings)
    built: list[IndexMetadata] = []
    for number in range(build.shards):
        built.append(build.build(number, model, progress=progress))
        told = next((one.similarity for one in built if one.similarity), None)
        build = replace(build, options=replace(build.options, similarity=told))
    return built


def _absolute(path: str) -> str:
    """A path that means the same in every process; a name as it is."""
    return os.path.abspath(path) if os.path.exists(path) else path


def _claim(place: Workplace, notes: dict[str, Any], resume: bool, overwrite: bool) -> str:
    """Take the folder of the shards, new or to be gone on with; the generation to build."""
    target = place.folder
    if lucene_files.has_commit(target):
        raise IndexingError(
            f"{target} is one index and not shards: choose another --index for the shards."
        )
    begun = place.is_ours
    there = read_shards(target) is not None
    _check_wanted(target, begun, there, resume, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if there and not begun:
            (target / LOCK).touch()  # by its manifest, the folder is ours
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
    noted = place.notes if resume else {}
    generation = noted.pop("generation", None)
    if generation not in GENERATIONS:  # nothing was begun
        manifest = read_shards(target)
        generation = GENERATIONS[manifest is not None and shard_name(0) in manifest.shards]
    for flag, before in noted.items():
        if flag in notes and before != notes[flag]:
            place.release()
            raise IndexingError(
                f"the build in {target} was begun with --{flag} {before or 'unset'} and not"
                f" {notes[flag] or 'unset'}: give the same to resume, or another --index."
            )
    place.note(**notes, generation=generation)
    return generation


def _check_wanted(target: Path, begun: bool, there: bool, resume: bool, overwrite: bool) -> None:
    """Refuse to begin where something is, or to go on where nothing is."""
    if resume and not begun:
        also = ": give --overwrite to build it anew" if there else ": leave --resume out to start"
        raise IndexingError(f"there is no unfinished build of shards at {target}{also}.")
    if resume or overwrite:
        return
    if begun:
        raise IndexingError(
            f"an unfinished build of shards lies in {target}: give --resume to go on with it,"
            " --overwrite to start again, or another --index."
        )
    if there:
        raise IndexingError(
            f"the index {target} exists: give --overwrite to replace it, or another --index."
        )
