"""Several indexes of one model, or the shards of one, made into one index by Lucene."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.consumed import KEY
from hypserini.index.lucene_files import has_commit
from hypserini.index.metadata import VECTORS_FROM, IndexMetadata, way_to_model
from hypserini.index.options import IndexOptions
from hypserini.index.place import IndexPlace
from hypserini.index.progress import BuildProgress
from hypserini.index.reader import Index
from hypserini.index.resources import bytes_in, check_disk
from hypserini.index.shards import IndexPaths

logger = logging.getLogger(__name__)


def merge_indexes(
    paths: IndexPaths,
    index: str | Path,
    options: IndexOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> IndexMetadata:
    """Make one index of several: vectors, graphs and texts are taken as they are.

    What is deleted in them is not taken along. There is one commit, at the end: after a kill the
    merge begins again, also where that commit was made, lest documents are taken in twice.

    Args:
        paths: The folders of the indexes, or of shards.
        index: The folder to make.
        options: Of the graph, the threads and the memory; the vectors' format is that of the first.
        resume: Begin again where a killed merge left its folder.
        overwrite: Replace an index that is there.

    Raises:
        IndexingError: They were not encoded alike, a docid is in two of them, the disk has no room,
            or something is in the way.
    """
    options = options or IndexOptions()
    with IndexPlace(index, resume=resume, overwrite=overwrite) as place:
        with Index(paths) as sources:
            metadata = IndexMetadata.from_user_data(sources.metadata, str(sources.path))
            folders, dimension = sources.folders, sources.dimension
            documents, similarity = sources.num_docs, sources.similarity
        if metadata is None or not dimension:
            raise IndexingError(
                f"{folders[0]} holds nothing that hypserini encoded: there is nothing to merge."
            )
        refuse_doubled(folders)
        if resume:
            _refuse_other(place.building)
        place.clear()
        place.building.mkdir(exist_ok=True)
        needed = sum(bytes_in(folder) for folder in folders)
        check_disk(place.building, needed, merged=options.optimize, is_estimate=False)
        options = options.like(metadata)
        with (
            options.writer(place.building, dimension, append=False) as writer,
            BuildProgress(documents, documents, shown=progress) as bar,
        ):
            bar.phase("copying")
            writer.add_indexes(folders)
            bar.phase("merging")
            if options.optimize:
                writer.optimize(bar.merging)
            else:
                writer.reclaim(bar.merging)
            metadata.similarity = similarity or ""
            metadata.model_beside = way_to_model(place.target, metadata.model)
            writer.commit(metadata.to_user_data())
        place.finish()
    logger.info("merged %s documents", f"{documents:,}")
    return metadata


def _refuse_other(building: Path) -> None:
    """Refuse to begin again where documents were encoded or read: they would be gone."""
    if not has_commit(building):
        return
    with Index(building) as begun:
        noted = begun.metadata
    for key, flag in ((KEY, "--collection"), (VECTORS_FROM, "--vectors-from")):
        if key in noted:
            raise IndexingError(
                f"the build in {building} was begun with {flag} and not with --merge: give the"
                " same to resume, or --overwrite to start again."
            )


def doubled_docid(folders: Sequence[Path]) -> str | None:
    """A docid that two documents of some folders have; None if there is none."""
    packed = jvm.pack_paths(folders)
    with jvm.reading(folders[0]):
        return jvm.java_class("io.hypserini.Check").doubled(packed)


def refuse_doubled(folders: list[Path]) -> None:
    """Raise IndexingError where a docid is in two of some folders."""
    doubled = doubled_docid(folders)
    if doubled is not None:
        raise IndexingError(
            f"the docid {doubled} is in more than one of {', '.join(map(str, folders))}: delete it"
            " from all but one (--delete)."
        )
