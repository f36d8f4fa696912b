"""What is looked into of an index, one check after the other; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypserini import jvm
from hypserini.errors import HypseriniError, IndexingError
from hypserini.index.lucene_files import has_commit
from hypserini.index.merging import doubled_docid
from hypserini.index.metadata import IndexMetadata, find_model
from hypserini.index.reader import Index
from hypserini.index.shards import IndexPaths, folders_of, given_paths, read_shards

AGAIN = "build the index again, or copy it whole"
SAID = 3
"""Lines of what Lucene says of a damaged index."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        what: What was looked into.
        fault: What is wrong and how it is mended; None: nothing.
        note: What else there is to say.
    """

    what: str
    fault: str | None = None
    note: str = ""


def check_index(paths: IndexPaths, *, model: str | None = None) -> Iterator[Finding]:
    """Look into an index, or into several that are searched as one.

    Its files by Lucene's CheckIndex, its metadata, that no docid occurs twice, that all vectors are
    finite, that its model is there and is the one that encoded it, and that shards agree.

    Args:
        paths: As `Index` takes them.
        model: Where the model lies, if not where it was.

    Raises:
        IndexingError: There is no index, or a shard is missing.
    """
    folders = folders_of(paths)
    for folder in folders:
        if not has_commit(folder):
            raise IndexingError(f"{folder} is not a Lucene index, or has lost its segments_* file.")
        finding = _files(folder)
        yield finding
        if finding.fault:
            return  # whatever is read of it may be wrong
    try:
        with Index(paths) as index:
            data, documents, dimension = index.metadata, index.num_docs, index.dimension
    except HypseriniError as error:
        yield Finding("metadata", str(error))
        return
    metadata = IndexMetadata.from_user_data(data, str(folders[0]))
    yield Finding("metadata", note=_told(metadata, documents, dimension))
    yield from _shards(paths)
    packed = jvm.pack_paths(folders)
    java = jvm.java_class("io.hypserini.Check")
    with jvm.reading(folders[0]):
        doubled, endless = doubled_docid(folders), java.notFinite(packed)
    yield Finding(
        "docids",
        doubled
        and f"{doubled} occurs more than once: delete it (--delete id:{doubled}) and add it again"
        " (--add)",
    )
    yield Finding(
        "vectors",
        endless
        and f"that of {endless} has a component that is not finite: delete the document"
        f" (--delete id:{endless}) and add it again (--add)",
    )
    if metadata is not None:
        yield _model(metadata, folders[0], model)


def _files(folder: Path) -> Finding:
    packed = jvm.pack_path(folder)
    what = f"files of {folder}"
    with jvm.reading(folder):
        said = jvm.java_class("io.hypserini.Check").files(packed)
    if said is None:
        return Finding(what)
    lines = [line.strip() for line in said.splitlines()]
    wrong = [line for line in lines if "WARNING" in line or "ERROR" in line or "Exception" in line]
    return Finding(what, f"Lucene finds them damaged ({'; '.join(wrong[:SAID])}): {AGAIN}")


def _told(metadata: IndexMetadata | None, documents: int, dimension: int) -> str:
    size = f"{documents:,} documents, vectors of {dimension} dimensions"
    if metadata is None:
        return f"{size}; not made by hypserini: name the model in every search"
    unfinished = "" if metadata.complete else "; its build was not finished"
    return f"{size}, {metadata.vectors}, model {metadata.model}{unfinished}"


def _shards(paths: IndexPaths) -> Iterator[Finding]:
    for path in given_paths(paths):
        manifest = read_shards(path)
        if manifest is None:
            continue
        counts = []
        for name in manifest.shards:
            with Index(path / name) as shard:
                counts.append(shard.num_docs)
        fault = None
        for name, noted, there in zip(manifest.shards, manifest.documents, counts, strict=True):
            if noted != there:
                fault = (
                    f"{path / name} holds {there:,} documents and the manifest says {noted:,}:"
                    " change shards by --add and --delete of the whole index"
                )
        yield Finding(f"shards of {path}", fault, f"{len(counts)} agree" if not fault else "")


def _model(metadata: IndexMetadata, folder: Path, named: str | None) -> Finding:
    from hypserini.modeling import load_model

    name = named or find_model(metadata, folder)
    try:
        loaded = load_model(name, device="cpu", settings=metadata.settings)
    except HypseriniError as error:
        if named is None:
            return Finding("model", note=f"not looked into: {error}")
        return Finding("model", str(error))
    if loaded.fingerprint != metadata.fingerprint:
        return Finding(
            "model",
            f"{name} has other weights than those that encoded the index: name the right one with"
            " --model, or build the index again",
        )
    return Finding("model", note=f"{name} is the one that encoded it")
