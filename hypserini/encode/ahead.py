"""Tokenises ahead: while a chunk of documents is encoded, a thread prepares the next ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from hypserini.encode.encoders import DocumentEncoder
from hypserini.jvm.threads import side_by_side
from hypserini.modeling.tokenizing import Tokens

Chunk = TypeVar("Chunk")


def tokenized_ahead(
    encoder: DocumentEncoder,
    chunks: Iterable[Chunk],
    texts: Callable[[Chunk], Sequence[str]],
) -> Iterator[tuple[Chunk, Tokens]]:
    """Each chunk, in order, with the token ids of its texts, which `encoder.encode` takes.

    Chunks are read by the caller's thread, at most two before they are handed out. What goes wrong
    while one is read is raised when all before it have been handed out: a build commits them.
    """
    failed: list[Exception] = []

    def read() -> Iterator[Chunk]:
        try:
            yield from chunks
        except Exception as error:
            failed.append(error)

    def made(chunk: Chunk) -> tuple[Chunk, Tokens]:
        return chunk, encoder.tokenize(texts(chunk))

    yield from side_by_side(made, read(), 1, "hypserini-tokenizer")
    if failed:
        raise failed[0]
