"""What a teacher is: it gives the items of training examples their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from hypserini.errors import TrainingError, named
from hypserini.index.reader import Index
from hypserini.train.data.examples import WholeExample

BATCH = 64


class Teacher(Protocol):
    """Scores the items of examples.

    Attributes:
        name: What it is called.
        batch_size: Pairs that it scores at once.
        settings: What decides about its scores.
        texts: What in it reads texts.
    """

    name: str
    batch_size: int
    settings: dict[str, Any]
    texts: list[Any]

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """The scores of all items, one example's after the other's: `[pairs] float32`."""

    def close(self) -> None:
        """Close what it has open."""


class PairScorer(Protocol):
    """Scores pairs of texts, as cross-encoders and SPLADE do."""

    name: str
    fingerprint: str
    max_length: int
    batch_size: int

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """The scores of pairs, `[n] float32`."""


def check_held(index: Index, examples: Sequence[WholeExample]) -> list[str]:
    """The docids of all items, which the index must hold.

    Raises:
        TrainingError: It lacks some; says how many and which.
    """
    docids = [docid for example in examples for docid in docids_of(example)]
    unique = list(dict.fromkeys(docids))
    held = index.holds(unique)
    lacking = [docid for docid, there in zip(unique, held, strict=True) if not there]
    if lacking:
        raise TrainingError(
            f"the index {index.path} lacks {len(lacking):,} documents that examples name "
            f"({named(lacking)}): leave them out, or name the index that has them."
        )
    return docids


def docids_of(example: WholeExample) -> list[str]:
    """The docids of the items of an example.

    Raises:
        TrainingError: One has none.
    """
    return [_docid(number, item) for number, item in enumerate(example["items"])]


def _docid(number: int, item: Any) -> str:
    if item.get("id") is None:
        raise TrainingError(f"items[{number}] has no id, by which the teacher knows documents.")
    return str(item["id"])
