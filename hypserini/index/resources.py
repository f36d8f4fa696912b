"""What a build may take of the machine: threads, memory and disk."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from hypserini import jvm
from hypserini.errors import IndexingError
from hypserini.index.vector_formats import vector_format

logger = logging.getLogger(__name__)

JAVAS_SHARE = 0.6
"""Of a build's memory, what Java's heap may take; the rest is the model's and Lucene's files'."""

LEAST_MEMORY = 512 << 20
"""Below this, Java has no room to add documents of any size."""

DOCUMENT_BYTES = 100
"""On the disk, for the docid and what Lucene notes of a document."""

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux tells how much memory a container may take, in its newer and older way."""

NEIGHBOUR_BYTES = 2.5
"""On the disk, of a neighbour in the graph, of which a document has up to 2 m."""


def all_cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def all_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's if less."""
    bytes_there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # `max` is none
            bytes_there = min(bytes_there, int(limit.read_text()))
    return bytes_there


def limit_memory(total: int | None) -> float | None:
    """Keep Java, where it does not run yet, to its share of the memory of a build.

    Merges keep to what the heap has room for, too (`Merges.java`).

    Args:
        total: Bytes for all of a build, or None: Java takes half of the machine's at most.

    Returns:
        Megabytes for Lucene to gather before it writes a segment; None: what is usual.

    Raises:
        IndexingError: That is too little.
    """
    if total is None:
        return None
    if total < LEAST_MEMORY:
        raise IndexingError(
            f"{total >> 20} MiB of memory are too little to build an index in: give at least"
            f" {LEAST_MEMORY >> 20} MiB."
        )
    heap = int(total * JAVAS_SHARE)
    has = jvm.limit_heap(heap)
    if has > total:
        logger.warning(
            "Java runs already and may take %s MiB: the %s MiB bound what is gathered alone",
            has >> 20,
            total >> 20,
        )
    return heap / 3 / (1 << 20)


def index_bytes(documents: int, dimension: int, vectors: str, m: int, text_bytes: int = 0) -> int:
    """About the size of an index on the disk.

    Args:
        documents: How many there are.
        dimension: Of their vectors.
        vectors: The name of their format.
        m: Neighbours of a node, where there is a graph.
        text_bytes: Of their texts, which Lucene keeps compressed and indexes.
    """
    format = vector_format(vectors)
    bits = 32 + (format.bits if format.bits < 32 else 0)
    graph = 2 * m * NEIGHBOUR_BYTES if format.has_graph else 0
    return int(documents * (dimension * bits / 8 + graph + DOCUMENT_BYTES) + text_bytes)


def check_disk(folder: Path, needed: int, *, merged: bool, is_estimate: bool) -> None:
    """Refuse a build that the disk cannot hold, and warn of one that it may not, before it begins.

    Segments that are merged, be it in the background, are written anew before the old ones go.

    Args:
        folder: Where the index grows; what is there already will be merged, too.
        needed: Bytes of the index that are still to come.
        merged: All of it will be merged for certain.
        is_estimate: The size is a guess from a part of the collection: warn only.

    Raises:
        IndexingError: There is not as much free.
    """
    again = needed + bytes_in(folder)
    most, least = needed + again, needed + (again if merged else 0)
    free = shutil.disk_usage(folder).free
    if most <= free:
        return
    refused = least > free and not is_estimate
    said = (
        f"the index {'will' if refused else 'may'} take about {_gib(least if refused else most)}"
        f" more while it is built and merged, and {folder} has {_gib(free)} free"
    )
    if refused:
        raise IndexingError(f"{said}: make room, or choose another --index.")
    logger.warning("%s; if the disk fills, make room and go on with --resume", said)


def bytes_in(folder: Path) -> int:
    """The size of the files in a folder."""
    size = 0
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # Lucene removes what it has merged
            size += entry.stat().st_size
    return size


def _gib(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB"
