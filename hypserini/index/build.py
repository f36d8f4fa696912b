"""Builds an index: reads a collection, encodes it, writes text and vectors into one Lucene index.

The index grows in a folder beside its final place, `<index>.building`, is committed as it goes,
and takes its place only when it is complete: a search never meets half an index, and one that is
to be replaced stays until its successor is ready.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypserini.errors import CollectionError, IndexingError, ModelError
from hypserini.formats.collection import Collection, Document
from hypserini.index.consumed import Consumed
from hypserini.index.metadata import VECTORS_FROM, IndexMetadata, way_to_model, written
from hypserini.index.options import IndexOptions
from hypserini.index.place import IndexPlace
from hypserini.index.progress import BuildProgress
from hypserini.index.writer import DuplicateDocid, IndexWriter
from hypserini.jvm.threads import detached
from hypserini.settings import EncodingSettings

if TYPE_CHECKING:
    import torch

    from hypserini.encode import DocumentEncoder
    from hypserini.modeling import DualEncoder
    from hypserini.modeling.tokenizing import Tokens

logger = logging.getLogger(__name__)

ENOUGH_TO_GUESS = 1000
"""Documents read, by which the number of all may be guessed."""


def build_index(
    collection: str | Path | Collection,
    index: str | Path,
    model: str | os.PathLike[str] | DualEncoder,
    options: IndexOptions | None = None,
    *,
    settings: EncodingSettings | None = None,
    device: str = "auto",
    dtype: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    collection_name: str | None = None,
) -> IndexMetadata:
    """Encode a collection and write it into a Lucene index.

    Args:
        collection: A file or a folder in Pyserini's JSON, BEIR's or TSV format; or an opened one.
        index: The folder to make.
        model: The name or folder of a model, or a loaded one.
        settings: What goes before what the folder of a model that is to be loaded says.
        device: Where it encodes, such as `cuda`; several with commas between them share the work.
        dtype: The number format of its arithmetic; see `load_model`.
        resume: Go on where an interrupted build was committed last.
        overwrite: Replace an index or an unfinished build that is there.
        collection_name: What to record as the collection's name; its path by default.

    Returns:
        The metadata of the finished index.

    Raises:
        CollectionError: The collection is missing or malformed; names the file and the line.
        IndexingError: The index exists, or an unfinished one does not fit.
        ModelError: The model cannot be loaded, or encodes a document to NaN.
    """
    options = options or IndexOptions()
    with IndexPlace(index, resume=resume, overwrite=overwrite) as place:
        source = (
            collection
            if isinstance(collection, Collection)
            else Collection(collection, fields=options.fields)
        )
        encoder = document_encoder(model, settings, options, device, dtype)
        place.clear()
        with options.writer(place.building, encoder.model.dim, append=resume) as writer:
            fresh = _fresh_metadata(encoder, options, collection_name or source.path, place.target)
            if VECTORS_FROM in writer.committed_metadata:
                raise IndexingError(
                    f"the build in {place.building} was begun with --vectors-from: give the same "
                    "to resume, or --overwrite to start again."
                )
            metadata = resumed_metadata(writer, place.building, fresh) if resume else fresh
            with BuildProgress(metadata.consumed, shown=progress) as bar:
                consumed = _fill(writer, source, encoder, metadata, options, bar)
                options.merge(writer, bar)
            metadata.complete = True
            writer.commit({**metadata.to_user_data(), **consumed.to_user_data()})
        place.finish()
    _report(metadata, encoder.max_length)
    return metadata


def document_encoder(
    model: str | os.PathLike[str] | DualEncoder,
    settings: EncodingSettings | None,
    options: IndexOptions,
    device: str,
    dtype: str,
) -> DocumentEncoder:
    """The encoder of a build, of a model that is loaded or to be loaded."""
    from hypserini.encode import DocumentEncoder
    from hypserini.modeling import load_model
    from hypserini.modeling.devices import choose_devices

    others: list[torch.device] = []
    if isinstance(model, str | os.PathLike):
        first, *others = choose_devices(device)
        model = load_model(model, device=first, dtype=dtype, settings=settings)
    elif settings is not None:
        raise ValueError("settings are of a model that is to be loaded; this one is")
    return DocumentEncoder(
        model, max_length=options.max_length, batch_size=options.batch_size, others=others
    )


def _fresh_metadata(
    encoder: DocumentEncoder, options: IndexOptions, collection: str, index: Path
) -> IndexMetadata:
    model = encoder.model
    return IndexMetadata(
        model=model.name,
        fingerprint=model.fingerprint,
        dimension=model.dim,
        pooling=model.pooling,
        max_length=encoder.max_length,
        similarity="",
        vectors=options.vectors,
        collection=written(collection),
        fields=",".join(options.fields or ()),
        l2_norm=model.config.normalize,
        query_prefix=model.config.query_prefix,
        document_prefix=model.config.document_prefix,
        model_beside=way_to_model(index, model.name),
    )


def resumed_metadata(writer: IndexWriter, building: Path, fresh: IndexMetadata) -> IndexMetadata:
    """The metadata of the last commit, when it was made with the same model and options.

    Raises:
        IndexingError: It was made with others; says which.
    """
    found = IndexMetadata.from_user_data(writer.committed_metadata, str(building))
    if found is None:
        return fresh
    for name in (
        *("pooling", "l2_norm", "query_prefix", "document_prefix"),
        *("fingerprint", "max_length", "vectors", "collection", "fields"),
    ):
        before, now = getattr(found, name), getattr(fresh, name)
        # The same weights may lie under another name; the fingerprint tells.
        if before != now and before is not None:
            raise IndexingError(
                f"the build in {building} was begun with {name} {before or 'unset'} (model "
                f"{found.model}) and not {now or 'unset'} (model {fresh.model}): give the same "
                "options to resume, or --overwrite to start again."
            )
    found.complete = False
    return found


def _fill(
    writer: IndexWriter,
    collection: Collection,
    encoder: DocumentEncoder,
    metadata: IndexMetadata,
    options: IndexOptions,
    bar: BuildProgress,
) -> Consumed:
    """Encode and write all documents after the first `metadata.consumed`.

    While a chunk is encoded, a thread writes the one before it, and another tokenises the next.
    """
    from hypserini.encode.ahead import tokenized_ahead
    from hypserini.encode.encoders import BATCHES_IN_A_CHUNK

    bar.phase("reading")
    consumed = Consumed(collection)
    documents = consumed.rest(metadata.consumed, writer.committed_metadata)
    pending: Future[None] | None = None
    truncated_before = metadata.truncated
    committed_at = time.monotonic()
    add = detached(writer.add)
    room_is_known = False
    with ThreadPoolExecutor(1, thread_name_prefix="hypserini-writer") as pool:
        chunks = _chunks(
            documents, options.batch_size * BATCHES_IN_A_CHUNK, collection, metadata.consumed
        )
        for (chunk, expected), tokens in tokenized_ahead(
            encoder, chunks, lambda one: _texts(one[0])
        ):
            if not room_is_known and expected and _is_enough(metadata.consumed, collection):
                _check_room(writer, collection, metadata, expected, options)
                room_is_known = True
            bar.expect(expected)
            bar.phase("encoding")
            vectors = _encode(encoder, chunk, tokens, bar)
            bar.phase("writing")
            _settle(pending, collection)
            if pending and time.monotonic() - committed_at > options.commit_seconds:
                _commit(writer, metadata, consumed, collection)
                committed_at = time.monotonic()
            pending = pool.submit(
                add,
                [document.docid for document in chunk],
                vectors,
                _texts(chunk),
                [document.raw for document in chunk],
            )
            consumed.add(chunk)
            metadata.consumed += len(chunk)
            metadata.empty += sum(not document.contents.strip() for document in chunk)
            metadata.truncated = truncated_before + encoder.truncated
        _settle(pending, collection)
        bar.expect(metadata.consumed)
    _commit(writer, metadata, consumed, collection)
    return consumed


def _is_enough(read: int, collection: Collection) -> bool:
    """Whether the size of the collection is known, or so much was read that it can be guessed."""
    return read >= ENOUGH_TO_GUESS or collection.total_documents is not None


def _check_room(
    writer: IndexWriter,
    collection: Collection,
    metadata: IndexMetadata,
    expected: int,
    options: IndexOptions,
) -> None:
    left = expected - metadata.consumed
    options.check_room(
        writer,
        left,
        metadata.dimension,
        int((collection.total_bytes or 0) * left / expected),
        guessed=collection.total_documents is None,
    )


def _chunks(
    documents: Iterator[Document], size: int, collection: Collection, read: int
) -> Iterator[tuple[list[Document], int | None]]:
    """So many documents at a time, each time with the size of the collection as it seems then."""
    while chunk := list(islice(documents, size)):
        read += len(chunk)
        yield chunk, _expected_documents(collection, read)


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.contents for document in documents]


def _expected_documents(collection: Collection, read: int) -> int | None:
    """The size of the collection, from the share of its bytes that has been read."""
    if not collection.bytes_read or not collection.total_bytes:
        return collection.total_documents
    return max(read, round(read * collection.total_bytes / collection.bytes_read))


def _encode(
    encoder: DocumentEncoder, chunk: Sequence[Document], tokens: Tokens, bar: BuildProgress
) -> np.ndarray:
    try:
        return encoder.encode(tokens, bar.advance)
    except ModelError as error:
        position = getattr(error, "position", None)
        if position is None:
            raise
        document = chunk[position]
        raise ModelError(
            f"document {document.docid} ({document.source}, line {document.line}): {error}"
        ) from error


def _settle(pending: Future[None] | None, collection: Collection) -> None:
    if pending is not None:
        with _naming_duplicates(collection):
            pending.result()


def _commit(
    writer: IndexWriter, metadata: IndexMetadata, consumed: Consumed, collection: Collection
) -> None:
    metadata.similarity = writer.similarity
    with _naming_duplicates(collection):
        writer.commit({**metadata.to_user_data(), **consumed.to_user_data()})


@contextmanager
def _naming_duplicates(collection: Collection) -> Iterator[None]:
    """Turn the writer's complaint about a docid into one about a line of the collection.

    The line is looked for only then: to remember all of them would take memory.
    """
    try:
        yield
    except DuplicateDocid as error:
        places = (document for document in collection.read() if document.docid == error.docid)
        again = next(islice(places, 1, None), None)
        where = f" (again in {again.source}, line {again.line})" if again else ""
        raise CollectionError(
            f"the docid {error.docid} occurs more than once in the collection{where}: "
            "give every document an id of its own."
        ) from error


def _report(metadata: IndexMetadata, max_length: int) -> None:
    logger.info("indexed %s documents", f"{metadata.consumed:,}")
    if metadata.empty:
        logger.warning("%s documents have no text and were indexed all the same", metadata.empty)
    if metadata.truncated:
        logger.warning(
            "%s documents are longer than %s tokens and were encoded up to there",
            f"{metadata.truncated:,}",
            max_length,
        )
