"""Tokenising ahead changes nothing but the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hypserini.encode import DocumentEncoder
from hypserini.encode.ahead import tokenized_ahead
from hypserini.encode.encoders import BATCHES_IN_A_CHUNK
from hypserini.errors import CollectionError
from hypserini.modeling import load_model

CHUNKS = [
    ["tree heap", "list"],
    ["map set hash key value node edge path walk beam"],
    ["queue", "sort merge"],
    ["page"],
]


def test_what_is_tokenised_ahead_is_encoded_as_texts_are(tiny_model: Path) -> None:
    model = load_model(tiny_model, device="cpu")
    ahead, plain = (DocumentEncoder(model, batch_size=2, max_length=8) for _ in range(2))
    read = 0

    def reading() -> Iterator[list[str]]:
        nonlocal read
        for chunk in CHUNKS:
            read += 1
            yield chunk

    handed_out = []
    for chunk, tokens in tokenized_ahead(ahead, reading(), list):
        handed_out.append(chunk)
        assert read <= len(handed_out) + 2
        np.testing.assert_array_equal(ahead.encode(tokens), plain.encode(chunk))
        # What is only tokenised is not counted: a build that is killed now would count it twice.
        assert ahead.truncated == plain.truncated == (len(handed_out) > 1)
    assert handed_out == CHUNKS


def test_what_was_read_before_a_fault_is_handed_out_first(tiny_model: Path) -> None:
    encoder = DocumentEncoder(load_model(tiny_model, device="cpu"))

    def reading() -> Iterator[list[str]]:
        yield from CHUNKS
        raise CollectionError("line 7 is malformed")

    handed_out = []

    def take_all() -> None:
        for chunk, _ in tokenized_ahead(encoder, reading(), list):
            handed_out.append(chunk)

    with pytest.raises(CollectionError, match="line 7"):
        take_all()
    assert handed_out == CHUNKS


def test_more_texts_than_a_chunk_has_are_encoded_as_each_alone(tiny_model: Path) -> None:
    encoder = DocumentEncoder(load_model(tiny_model, device="cpu"), batch_size=1)
    texts = [f"tree heap {number}" for number in range(2 * BATCHES_IN_A_CHUNK + 3)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, rtol=1e-5, atol=1e-6)
