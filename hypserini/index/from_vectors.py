"""Builds an index from document vectors that were encoded elsewhere, in one or more shards."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from hypserini.errors import CollectionError, IndexingError
from hypserini.formats.vector_readers import VectorSource
from hypserini.formats.vector_writers import Manifest
from hypserini.index.build import resumed_metadata
from hypserini.index.metadata import VECTORS_FROM, IndexMetadata, way_to_model
from hypserini.index.options import IndexOptions
from hypserini.index.place import IndexPlace
from hypserini.index.progress import BuildProgress
from hypserini.index.vector_progress import VectorProgress, left
from hypserini.index.writer import DuplicateDocid, IndexWriter
from hypserini.settings import AS_THE_FOLDER_SAYS, EncodingSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """What was built: the number of documents, and the metadata if the model is known."""

    documents: int
    metadata: IndexMetadata | None


def index_vectors(
    paths: Sequence[str | Path],
    index: str | Path,
    options: IndexOptions,
    *,
    model: str | None = None,
    settings: EncodingSettings | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> VectorIndex:
    """Write vectors, and texts where there are some, into a Lucene index.

    Args:
        paths: Folders and files that `VectorSource` reads; all shards of an encoding.
        index: The folder to make.
        options: How the index is written; what belongs to encoding is left aside.
        model: The model that made the vectors, where the files do not say so; it is loaded.
        settings: How that model encoded them, and is to encode queries, beyond its folder's word.
        resume: Go on where an interrupted build was committed last.
        overwrite: Replace an index or an unfinished build that is there.

    Raises:
        CollectionError: Vectors are missing or malformed, of different models or dimensions, or a
            shard is missing; or they changed since the build that is resumed.
        IndexingError: The index exists, an unfinished one does not fit, a docid occurs twice, or a
            vector is not finite.
        ModelError: The model cannot be loaded.
    """
    settings = settings or AS_THE_FOLDER_SAYS
    with IndexPlace(index, resume=resume, overwrite=overwrite) as place:
        sources = [VectorSource(path) for path in paths]
        first = next(chain.from_iterable(sources), None)
        if first is None:
            raise CollectionError(f"{', '.join(map(str, paths))}: there are no vectors.")
        dimension = first.vectors.shape[1]
        metadata = _from_manifests(sources, options.vectors)
        if settings != AS_THE_FOLDER_SAYS and (metadata is not None or model is None):
            raise IndexingError(
                "--pooling, --l2-norm, --query-prefix and --doc-prefix belong to --model, for"
                " vectors that do not say how they were encoded: leave them out."
            )
        if metadata is not None and model is not None:
            raise IndexingError(
                f"the vectors say themselves that {metadata.model} made them: leave --model out."
            )
        if metadata is None and model is not None:
            metadata = _from_model(model, settings, dimension, options.vectors, str(paths[0]))
        if metadata is not None:
            metadata.model_beside = way_to_model(place.target, metadata.model)
        done = VectorProgress([str(path) for path in paths], options.vectors, model)
        place.clear()
        with (
            _naming_sources(paths),
            options.writer(place.building, dimension, append=resume) as writer,
        ):
            if resume and writer.committed_metadata:
                done = _resumed(writer, place.building, done)
                if metadata:
                    metadata = resumed_metadata(writer, place.building, metadata)
            total = _count(sources)
            if total is not None:
                left_over = total - done.documents
                options.check_room(writer, left_over, dimension, guessed=False)
            with BuildProgress(done.documents, total, shown=progress) as bar:
                _write(writer, sources, dimension, metadata, done, options.commit_seconds, bar)
                options.merge(writer, bar)
            if metadata:
                metadata.complete = True
            _commit(writer, metadata, done)
        place.finish()
    if metadata is None:
        logger.warning(
            "the index does not know the model of these vectors: name it with --model in every"
            " search, or index again with --model"
        )
    return VectorIndex(done.documents, metadata)


@contextmanager
def _naming_sources(paths: Sequence[str | Path]) -> Iterator[None]:
    """Say of a docid that occurs twice where the vectors came from."""
    try:
        yield
    except DuplicateDocid as error:
        raise IndexingError(f"{error} Vectors came from {', '.join(map(str, paths))}.") from error


def _resumed(writer: IndexWriter, building: Path, asked: VectorProgress) -> VectorProgress:
    """What was read up to the last commit, if that was to build what is asked for now."""
    committed = writer.committed_metadata.get(VECTORS_FROM)
    if committed is None:
        raise IndexingError(
            f"the build in {building} was not begun with --vectors-from: give the same --collection"
            " to resume, or --overwrite to start again."
        )
    found = VectorProgress.from_user_data(committed, building)
    for name, flag in (("paths", "vectors-from"), ("vectors", "vectors"), ("model", "model")):
        before, now = getattr(found, name), getattr(asked, name)
        if before != now:
            before, now = (" ".join(v) if isinstance(v, list) else v for v in (before, now))
            raise IndexingError(
                f"the build in {building} was begun with --{flag} {before or 'unset'} and not"
                f" {now or 'unset'}: give the same to resume, or --overwrite to start again."
            )
    logger.info("resuming after %s documents", f"{found.documents:,}")
    return found


def _write(
    writer: IndexWriter,
    sources: Sequence[VectorSource],
    dimension: int,
    metadata: IndexMetadata | None,
    done: VectorProgress,
    commit_seconds: float,
    bar: BuildProgress,
) -> None:
    """Write what is not done yet."""
    committed_at = time.monotonic()
    bar.phase("writing")
    for block in left(writer.path, sources, done):
        if block.vectors.shape[1] != dimension:
            raise CollectionError(
                f"{block.place}: the vectors have {block.vectors.shape[1]} components, and"
                f" those before {dimension}."
            )
        writer.add(block.docids, block.vectors, block.contents, block.raws)
        if metadata:
            metadata.consumed += len(block.docids)
        done.documents += len(block.docids)
        done.last = block.docids[-1]
        bar.advance(len(block.docids))
        if time.monotonic() - committed_at > commit_seconds:
            _commit(writer, metadata, done)
            committed_at = time.monotonic()
    _commit(writer, metadata, done)


def _count(sources: Sequence[VectorSource]) -> int | None:
    """The vectors in all, where the files say it of themselves."""
    counts = [source.documents for source in sources]
    return None if None in counts else sum(count or 0 for count in counts)


def _commit(writer: IndexWriter, metadata: IndexMetadata | None, done: VectorProgress) -> None:
    if metadata is not None:
        metadata.similarity = writer.similarity
    known = metadata.to_user_data() if metadata is not None else {}
    writer.commit({**known, **done.to_user_data()})


def _from_manifests(sources: Sequence[VectorSource], vectors: str) -> IndexMetadata | None:
    """The metadata of the index, from what the shards say of themselves."""
    manifests = [source.manifest for source in sources if source.manifest is not None]
    if not manifests:
        return None
    if len(manifests) < len(sources):
        strange = next(source.path for source in sources if source.manifest is None)
        raise CollectionError(
            f"{strange} does not say which model made its vectors, as the other paths do: index"
            " them apart, or encode them again."
        )
    first = manifests[0]
    for source, manifest in zip(sources, manifests, strict=True):
        for name in (
            *("pooling", "query_prefix", "document_prefix"),
            *("fingerprint", "dimension", "max_length", "fields", "shard_num"),
        ):
            ours, other = getattr(first, name), getattr(manifest, name)
            if ours != other:
                raise CollectionError(
                    f"{source.path} was encoded with {name} {other or 'unset'} (model"
                    f" {manifest.model}) and {sources[0].path} with {ours or 'unset'} (model"
                    f" {first.model}): encode all shards alike."
                )
    _check_shards(manifests)
    return IndexMetadata(
        model=first.model,
        fingerprint=first.fingerprint,
        dimension=first.dimension,
        pooling=first.pooling,
        max_length=first.max_length,
        similarity="",
        vectors=vectors,
        collection=first.collection,
        fields=first.fields,
        empty=sum(manifest.empty for manifest in manifests),
        truncated=sum(manifest.truncated for manifest in manifests),
        l2_norm=first.l2_norm,
        query_prefix=first.query_prefix,
        document_prefix=first.document_prefix,
    )


def _check_shards(manifests: Sequence[Manifest]) -> None:
    given = sorted(manifest.shard_id for manifest in manifests)
    wanted = manifests[0].shard_num
    missing = sorted(set(range(wanted)) - set(given))
    if missing:
        raise CollectionError(
            f"shard {missing[0]} of {wanted} is missing: give the folders of all shards to"
            " --vectors-from."
        )
    if len(given) > wanted:
        twice = next(shard for shard in given if given.count(shard) > 1)
        raise CollectionError(f"shard {twice} of {wanted} is given twice: give each one once.")


def _from_model(
    model: str, settings: EncodingSettings, dimension: int, vectors: str, collection: str
) -> IndexMetadata:
    from hypserini.modeling import load_model

    loaded = load_model(model, device="cpu", settings=settings)
    if loaded.dim != dimension:
        raise IndexingError(
            f"the model {model} makes vectors of {loaded.dim} dimensions, and these have"
            f" {dimension}: name the model that made them."
        )
    return IndexMetadata(
        model=loaded.name,
        fingerprint=loaded.fingerprint,
        dimension=dimension,
        pooling=loaded.pooling,
        max_length=loaded.document_max_length,
        similarity="",
        vectors=vectors,
        collection=collection,
        l2_norm=loaded.config.normalize,
        query_prefix=loaded.config.query_prefix,
        document_prefix=loaded.config.document_prefix,
    )
