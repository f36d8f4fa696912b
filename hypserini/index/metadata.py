"""What an index knows about itself: the model it was encoded with and how far it has come.

It is kept as the user data of the Lucene commit, so it is always exactly as old as the documents.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from hypserini.errors import IndexingError

FORMAT = 2
"""Format 1 kept the sum of all vectors as well."""
PREFIX = "hypserini."
VECTORS_FROM = PREFIX + "vectors_from"
"""Under this, an index of vectors keeps where they come from and how far they were read."""


@dataclass(slots=True)
class IndexMetadata:
    """The facts that indexing records and searching checks."""

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

    def to_user_data(self) -> dict[str, str]:
        """The metadata as the strings of a Lucene commit's user data."""
        return {PREFIX + key: str(value) for key, value in asdict(self).items()}

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
    return text
