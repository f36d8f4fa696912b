"""What an index knows about itself: the model it was encoded with and how far it has come.

It is kept as the user data of the Lucene commit, so it is always exactly as old as the documents.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from hypserini.errors import IndexingError

FORMAT = 1
PREFIX = "hypserini."
VECTORS_FROM = PREFIX + "vectors_from"
"""Under this, an index of vectors keeps where they come from and how far they were read."""


@dataclass(slots=True)
class IndexMetadata:
    """The facts that indexing records and searching checks.

    `vector_sum` is the float64 sum of the document vectors, in base64 in the commit: exact enough
    to be carried on when indexing is resumed. The mean is where tangent search starts.
    """

    model: str
    fingerprint: str
    dimension: int
    pooling: str
    max_length: int
    similarity: str
    vectors: str
    collection: str
    fields: str = ""
    format: int = FORMAT
    consumed: int = 0
    empty: int = 0
    truncated: int = 0
    complete: bool = False
    vector_sum: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float64))

    def __post_init__(self) -> None:
        if not self.vector_sum.size:
            self.vector_sum = np.zeros(self.dimension, np.float64)

    @property
    def mean_vector(self) -> np.ndarray | None:
        """The mean document vector, `[dim] float32`; None while there are no documents."""
        if not self.consumed:
            return None
        return (self.vector_sum / self.consumed).astype(np.float32)

    def add(self, vectors: np.ndarray) -> None:
        """Count `[n, dim]` vectors that were given to the index."""
        self.vector_sum += vectors.sum(axis=0, dtype=np.float64)
        self.consumed += len(vectors)

    def to_user_data(self) -> dict[str, str]:
        """The metadata as the strings of a Lucene commit's user data."""
        data = {PREFIX + key: str(value) for key, value in asdict(self).items()}
        packed = self.vector_sum.astype("<f8").tobytes()
        data[PREFIX + "vector_sum"] = base64.b64encode(packed).decode("ascii")
        return data

    @classmethod
    def from_user_data(cls, data: dict[str, str], index: str) -> IndexMetadata | None:
        """Read the metadata of a commit; None when the index was not made by hypserini.

        Raises:
            IndexingError: the metadata is of a newer format, or damaged.
        """
        version = data.get(PREFIX + "format")
        if version is None:
            return None
        if not version.isdigit() or int(version) > FORMAT:
            raise IndexingError(
                f"the index {index} has format {version} and this hypserini reads up to {FORMAT}: "
                "install a newer hypserini."
            )
        try:
            return cls(**{f.name: _parse(f.type, data[PREFIX + f.name]) for f in fields(cls)})
        except (KeyError, ValueError) as error:
            raise IndexingError(
                f"the metadata in the index {index} is damaged ({error}): build the index again."
            ) from error


def _parse(type_name: Any, text: str) -> Any:
    """Read one field from its string; dataclass field types are names here."""
    if type_name == "int":
        return int(text)
    if type_name == "bool":
        return text == "True"
    if type_name == "np.ndarray":
        return np.frombuffer(base64.b64decode(text), "<f8").copy()
    return text
