"""Builds the shards of an index on a Ray cluster: each by a task, which goes on after a kill."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from hypserini.cluster.connection import ClusterOptions, connected, share_of
from hypserini.cluster.tasks import run_tasks
from hypserini.errors import IndexingError
from hypserini.index.build import document_encoder
from hypserini.index.metadata import IndexMetadata
from hypserini.index.place import BusyPlaceError
from hypserini.index.progress import BuildProgress
from hypserini.index.reader import Index
from hypserini.index.sharded import ShardBuild

logger = logging.getLogger(__name__)

WAIT_S = 120
"""How long a task waits for the lock of one that it replaces, which may not have ended yet."""

LOOK_S = 5
"""Between looks at how far the shards are."""


def build_on_cluster(
    build: ShardBuild, cluster: ClusterOptions, *, progress: bool = True
) -> list[IndexMetadata]:
    """Build all shards of an index, as many at once as the cluster has room for.

    The result is the one without a cluster, document for document. Collection, model and index
    must be seen under the same paths by all nodes. A task whose process or node dies is begun again
    and resumes its shard. The bar shows what the shards have committed.

    Args:
        build: What is built.
        cluster: Which cluster, and what of it a task gets.
        progress: Show a bar.

    Returns:
        The metadata of each shard.

    Raises:
        ClusterError: There is no cluster, it has too little, or a task died again and again.
        HypseriniError: As a task raised it; what was committed stays and can be resumed.
    """
    with connected(cluster.address) as ray:
        share = share_of(ray, cluster, build.shards, least=1)
        build = replace(build, options=replace(build.options, threads=share.threads))
        similarity = build.options.similarity
        if similarity is None:
            [similarity] = run_tasks(ray, similarity_of_first, [(build, share.threads)], share)
            build = replace(build, options=replace(build.options, similarity=similarity))
        arguments = [(build, number, share.threads) for number in range(build.shards)]
        with BuildProgress(0, shown=progress) as bar:
            bar.phase(f"indexing {build.shards} shards")
            watch = _watcher(build, bar) if progress else lambda: None
            return run_tasks(ray, build_one, arguments, share, looking=watch)


def similarity_of_first(build: ShardBuild, threads: int) -> str | None:
    """The similarity that the first documents of the first shard with any suit, for all shards.

    As without a cluster, where the first shard is complete before the next is begun.
    """
    from hypserini.encode.encoders import BATCHES_IN_A_CHUNK

    _set_threads(threads)
    complete = [build.complete(number) for number in range(build.shards)]
    for one in complete:
        if one is not None and one.similarity:
            return one.similarity
    size = build.options.batch_size * BATCHES_IN_A_CHUNK
    firsts = (
        list(islice(build.collection(number), size))
        for number, done in enumerate(complete)
        if done is None
    )
    documents = next(filter(None, firsts), None)
    if documents is None:
        return None
    encoder = document_encoder(
        build.model, build.settings, build.options, build.device, build.dtype
    )
    vectors = encoder.encode([document.contents for document in documents])
    with tempfile.TemporaryDirectory() as folder:
        writer = build.options.writer(Path(folder), encoder.model.dim, append=False)
        try:
            writer.add([str(number) for number in range(len(documents))], vectors)
            return writer.similarity or None
        finally:
            writer.rollback()


def build_one(build: ShardBuild, number: int, threads: int) -> IndexMetadata:
    """Build a shard, or go on with it where a task before this one was killed."""
    _set_threads(threads)
    ends = time.monotonic() + WAIT_S
    while True:
        try:
            return build.build(number, build.model)
        except BusyPlaceError:
            if time.monotonic() > ends:
                raise
            time.sleep(1)


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _watcher(build: ShardBuild, bar: BuildProgress) -> Callable[[], None]:
    """What moves the bar by the documents that the shards have committed."""
    committed = [0] * build.shards
    looked = 0.0

    def look() -> None:
        nonlocal looked
        if time.monotonic() - looked < LOOK_S:
            return
        looked = time.monotonic()
        for number in range(build.shards):
            now = max(committed[number], _committed(build, number))
            bar.advance(now - committed[number])
            committed[number] = now

    return look


def _committed(build: ShardBuild, number: int) -> int:
    """Documents of a shard in its last commit; 0 where there is none, or it is just replaced."""
    folder = build.folder(number)
    for place in (folder, folder.with_name(folder.name + ".building")):
        with suppress(IndexingError), Index(place) as index:
            return index.num_docs
    return 0
