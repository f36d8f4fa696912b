"""The texts of an index's documents, made from what is stored as they were made to be encoded."""

from __future__ import annotations

import json

from hypserini.errors import IndexingError
from hypserini.index.formats import text_of
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index


class StoredTexts:
    """Looks up texts by docid.

    Args:
        index: An opened index that stores its documents' JSON (the field `raw`).
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        metadata = IndexMetadata.from_user_data(index.metadata, str(index.path))
        self._fields = metadata.fields.split(",") if metadata and metadata.fields else []

    def text(self, docid: str) -> str | None:
        """The text as it was given to the encoder; None when the index has no such document.

        Raises:
            IndexingError: No JSON is stored of the document.
            CollectionError: The JSON has no text.
        """
        raw = self._index.raw(docid)
        if raw is None:
            if self._index.stored(docid, "id") is None:
                return None
            raise IndexingError(
                f"the index {self._index.path} stores no text of document {docid}: build it from "
                "a collection, with `python -m hypserini.index --collection`."
            )
        try:
            value = json.loads(raw)
        except ValueError as error:
            value = error
        if not isinstance(value, dict):
            raise IndexingError(
                f"the index {self._index.path} stores no JSON object of document {docid}: build it "
                "from a collection, with `python -m hypserini.index --collection`."
            )
        # Of a TSV or a data set, the text alone is stored, whatever the fields it was made of.
        chosen = self._fields if any(field in value for field in self._fields) else None
        return text_of(value, chosen, f"{self._index.path}, document {docid}")
