"""Builds an index from document vectors that were encoded elsewhere, in one or more shards."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from hypserini.encode.vector_files import Manifest
from hypserini.encode.vector_readers import VectorBlock, VectorSource
from hypserini.errors import CollectionError, IndexingError
from hypserini.index.metadata import IndexMetadata
from hypserini.index.place import IndexPlace
from hypserini.index.writer import DuplicateDocid, IndexWriter

if TYPE_CHECKING:
    from hypserini.index.build import IndexOptions

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
    overwrite: bool = False,
    progress: bool = True,
) -> VectorIndex:
    """Write vectors, and texts where there are some, into a Lucene index.

    Args:
        paths: Folders and files that `VectorSource` reads; all shards of an encoding.
        index: The folder to make.
        options: How the index is written; what belongs to encoding is left aside.
        model: The model that made the vectors, where the files do not say so; it is loaded.
        overwrite: Replace an index that is there.

    Raises:
        CollectionError: Vectors are missing or malformed, of different models or dimensions, or a
            shard is missing.
        IndexingError: The index exists, a docid occurs twice, or a vector is not finite.
        ModelError: The model cannot be loaded.
    """
    place = IndexPlace(Path(index), overwrite=overwrite)
    place.check()
    sources = [VectorSource(path) for path in paths]
    blocks = chain.from_iterable(sources)
    first = next(blocks, None)
    if first is None:
        raise CollectionError(f"{', '.join(map(str, paths))}: there are no vectors.")
    dimension = first.vectors.shape[1]
    metadata = _from_manifests(sources, options.vectors)
    if metadata is None and model is not None:
        metadata = _from_model(model, dimension, options.vectors, str(paths[0]))
    place.clear()
    try:
        with IndexWriter(
            place.building,
            dimension=dimension,
            vectors=options.vectors,
            m=options.m,
            ef_construction=options.ef_construction,
            threads=options.threads,
        ) as writer:
            written = _write(writer, chain([first], blocks), dimension, metadata, progress)
            if options.optimize:
                writer.optimize()
            if metadata:
                metadata.similarity = writer.similarity
                metadata.complete = True
            writer.commit(metadata.to_user_data() if metadata else {})
    except DuplicateDocid as error:
        raise IndexingError(f"{error} Vectors came from {', '.join(map(str, paths))}.") from error
    finally:
        place.drop_if_nothing_committed()
    place.finish()
    if metadata is None:
        logger.warning(
            "the index does not know the model of these vectors: name it with --model in every"
            " search, or index again with --model"
        )
    return VectorIndex(written, metadata)


def _write(
    writer: IndexWriter,
    blocks: chain[VectorBlock],
    dimension: int,
    metadata: IndexMetadata | None,
    progress: bool,
) -> int:
    written = 0
    with tqdm(desc="indexing", unit=" docs", disable=not progress) as bar:
        for block in blocks:
            if block.vectors.shape[1] != dimension:
                raise CollectionError(
                    f"{block.place}: the vectors have {block.vectors.shape[1]} components, and"
                    f" those before {dimension}."
                )
            writer.add(block.docids, block.vectors, block.contents, block.raws)
            if metadata:
                metadata.add(block.vectors)
            written += len(block.docids)
            bar.update(len(block.docids))
    return written


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
        for name in ("fingerprint", "dimension", "max_length", "fields", "shard_num"):
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


def _from_model(model: str, dimension: int, vectors: str, collection: str) -> IndexMetadata:
    from hypserini.modeling import load_model

    loaded = load_model(model, device="cpu")
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
    )
