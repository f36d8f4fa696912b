"""Document vectors in blocks, as every reader of vector files gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hypserini.formats.values import Malformed, check_id, clean

BLOCK = 4096
"""Documents of a block, at most."""


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Some documents: ids, `[n, dim] float32`, and their texts and JSON where the files have them.

    `place` says where the block comes from.
    """

    docids: list[str]
    vectors: np.ndarray
    contents: list[str] | None
    raws: list[str] | None
    place: str


@dataclass(frozen=True, slots=True)
class PendingBlock:
    """A block of so many documents that is parsed when it is asked for."""

    count: int
    parse: Callable[[], VectorBlock]


def make_block(
    docids: Sequence[str],
    vectors: np.ndarray,
    contents: Sequence[object],
    raws: Sequence[object],
    place: str,
) -> VectorBlock:
    """A block of documents whose texts, and JSON to be stored, may be missing (None)."""
    if all(text is None for text in contents):
        return VectorBlock(list(docids), vectors, None, None, place)
    texts = [clean(text) if isinstance(text, str) else "" for text in contents]
    stored = [
        clean(raw) if isinstance(raw, str) else json.dumps({"id": docid, "contents": text})
        for docid, text, raw in zip(docids, texts, raws, strict=True)
    ]
    return VectorBlock(list(docids), vectors, texts, stored, place)


def docid_of(value: object) -> str:
    """Return the id of a row or a record, without white space around it.

    Raises:
        Malformed: it is none.
    """
    return check_id(value.strip() if isinstance(value, str) else value)


def to_floats(values: object) -> np.ndarray:
    """Return numbers of any precision as float32; what is too large becomes infinite.

    Raises:
        Malformed: they are no numbers, or lists that differ in length.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "fiu":
            with np.errstate(over="ignore"):
                return array.astype(np.float32, copy=False)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed("the vector is not a list of numbers.") from error
    raise Malformed("the vector is not a list of numbers.")
