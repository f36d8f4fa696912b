"""What an index knows about itself: the model it was encoded with and how far it has come.

It is kept as the user data of the Lucene commit, so it is always exactly as old as the documents.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hypserini.errors import IndexingError
from hypserini.settings import EncodingSettings

FORMAT = 2
"""Format 1 kept the sum of all vectors as well."""
PREFIX = "hypserini."
VECTORS_FROM = PREFIX + "vectors_from"
"""Under this, an index of vectors keeps where they come from and how far they were read."""
_LATER = ("l2_norm", "query_prefix", "document_prefix", "model_beside")
"""Fields that older indexes of format 2 do not have: nothing stood before their texts."""


@dataclass(slots=True)
class IndexMetadata:
    """The facts that indexing records and searching checks.

    Attributes:
        l2_norm: The vectors have length 1; None where that was not recorded.
        query_prefix: What is put before queries, for these documents.
        document_prefix: What was put before every document.
        model_beside: The way from the index's folder to the model's, "" for a model on the hub.
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
    l2_norm: bool | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    model_beside: str = ""

    @property
    def settings(self) -> EncodingSettings:
        """How the documents were encoded, and queries are to be."""
        return EncodingSettings(self.pooling, self.l2_norm, self.query_prefix, self.document_prefix)

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
            return cls(
                **{
                    f.name: _parse(f.type, data[PREFIX + f.name])
                    for f in fields(cls)
                    if PREFIX + f.name in data or f.name not in _LATER
                }
            )
        except (KeyError, ValueError) as error:
            raise IndexingError(
                f"the metadata in the index {index} is damaged ({error}): build the index again."
            ) from error


def written(text: str) -> str:
    """A text as an index keeps it: a path need not be UTF-8."""
    return text.encode(errors="replace").decode()


def way_to_model(index: Path, model: str) -> str:
    """How a model's folder is reached from an index's; "" where the model is no folder."""
    if not os.path.isabs(model):
        return ""
    try:
        return os.path.relpath(model, index)
    except ValueError:  # on another drive of Windows
        return ""


def find_model(metadata: IndexMetadata, folder: Path) -> str:
    """The model that an index's folder names, where it lies now: moved together, they are found."""
    if not os.path.exists(os.path.expanduser(metadata.model)):
        folder = folder.resolve()
        # Older indexes keep the path as it was given, from wherever that was.
        beside = [folder / metadata.model_beside] if metadata.model_beside else []
        for found in (*beside, *(parent / metadata.model for parent in folder.parents[:3])):
            if found.is_dir():
                return str(found)
    return metadata.model


def _parse(type_name: Any, text: str) -> Any:
    """Read one field from its string; dataclass field types are names here."""
    if type_name == "int":
        return int(text)
    if type_name == "bool":
        return text == "True"
    if type_name == "bool | None":
        return {"True": True, "False": False}.get(text)
    return text
