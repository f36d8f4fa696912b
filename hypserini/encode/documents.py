"""Encodes a collection, or a shard of it, into files of vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from tqdm.auto import tqdm

from hypserini.encode.ahead import tokenized_ahead
from hypserini.encode.encoders import BATCHES_IN_A_CHUNK, DocumentEncoder
from hypserini.errors import CollectionError, ModelError
from hypserini.formats.vector_writers import Manifest, write_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Document(Protocol):
    """What is encoded and written of a document."""

    @property
    def docid(self) -> str:
        """Its id."""

    @property
    def contents(self) -> str:
        """The text to encode."""

    @property
    def raw(self) -> str:
        """The JSON to be stored."""


def encode_collection(
    documents: Iterable[Document],
    encoder: DocumentEncoder,
    folder: str | Path,
    *,
    format: str,
    collection: str,
    fields: Sequence[str] = (),
    shard_id: int = 0,
    shard_num: int = 1,
    progress: bool = True,
) -> Manifest:
    """Encode every `shard_num`-th document, beginning with number `shard_id`, into a folder.

    Args:
        documents: The documents of the whole collection.
        encoder: The document encoder.
        folder: The folder to make.
        format: "jsonl", "parquet" or "npy".
        collection: What to record as the collection's name.
        fields: What to record as the fields that the text was made of.
        shard_id: Which shard, from 0.
        shard_num: How many shards there are.

    Raises:
        OutputError: The folder exists or cannot be written.
        ModelError: A vector is not finite; names the document.
        CollectionError: There are no documents in the shard, or the collection is malformed.
    """
    model = encoder.model
    manifest = Manifest(
        format=format,
        model=model.name,
        fingerprint=model.fingerprint,
        dimension=model.dim,
        pooling=model.pooling,
        max_length=encoder.max_length,
        collection=collection,
        fields=",".join(fields),
        shard_id=shard_id,
        shard_num=shard_num,
        l2_norm=model.config.normalize,
        query_prefix=model.config.query_prefix,
        document_prefix=model.config.document_prefix,
    )
    ours = islice(documents, shard_id, None, shard_num)
    with (
        write_vectors(folder, manifest) as writer,
        tqdm(desc="encoding", unit=" docs", disable=not progress) as bar,
    ):
        chunks = _chunks(ours, encoder.batch_size * BATCHES_IN_A_CHUNK)
        for chunk, tokens in tokenized_ahead(encoder, chunks, _texts):
            try:
                vectors = encoder.encode(tokens)
            except ModelError as error:
                position = getattr(error, "position", None)
                if position is None:
                    raise
                raise ModelError(f"document {chunk[position].docid}: {error}") from error
            writer.write(
                [document.docid for document in chunk],
                vectors,
                _texts(chunk),
                [document.raw for document in chunk],
            )
            manifest.documents += len(chunk)
            manifest.empty += sum(not document.contents.strip() for document in chunk)
            bar.update(len(chunk))
        manifest.truncated = encoder.truncated
        if not manifest.documents:
            raise CollectionError(
                f"shard {shard_id} of {shard_num} of {collection} has no documents: make fewer"
                " shards."
            )
    return manifest


def _chunks(documents: Iterator[Document], size: int) -> Iterator[list[Document]]:
    while chunk := list(islice(documents, size)):
        yield chunk


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.contents for document in documents]
