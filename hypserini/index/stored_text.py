"""What is stored of a document, and the one answer to what its text is: what was encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypserini.errors import CollectionError, IndexingError
from hypserini.formats.documents import text_of
from hypserini.formats.reading import placed
from hypserini.formats.values import Malformed, parse_json
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index


class StoredDocument:
    """A document of an index, with the methods of Pyserini's `Document`.

    Args:
        docid: Its id.
        raw: Its source, as it was in the collection.
        fields: The fields that its text was made of, where indexing was told; see `Collection`.
    """

    def __init__(self, docid: str, raw: str, fields: Sequence[str] = ()) -> None:
        self._docid = docid
        self._raw = raw
        self._fields = fields

    def docid(self) -> str:
        """The docid."""
        return self._docid

    def id(self) -> str:
        """The docid."""
        return self._docid

    def raw(self) -> str:
        """The document as it was in the collection, JSON."""
        return self._raw

    def get(self, field: str) -> Any:
        """A field of the document's JSON, or None; None, too, where no JSON object is stored."""
        value = _object(self._raw)
        return None if value is None else value.get(field)

    def contents(self) -> str | None:
        """The text as it was given to the encoder; None where what is stored holds none."""
        value = _object(self._raw)
        try:
            return None if value is None else _text(value, self._fields, self._docid)
        except CollectionError:
            return None

    def shown(self) -> str:
        """What a reader is shown: the text, or all that is stored where that holds none."""
        contents = self.contents()
        return self._raw if contents is None else contents


class StoredTexts:
    """Looks up documents and their texts by docid.

    Args:
        index: An opened index; those of ours store their documents' JSON (the field `raw`).
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        metadata = IndexMetadata.from_user_data(index.metadata, str(index.path))
        self._fields = metadata.fields.split(",") if metadata and metadata.fields else []

    def document(self, docid: str) -> StoredDocument | None:
        """What is stored of a document; None when the index has none, or stores nothing of it."""
        raw = self._index.raw(docid)
        return None if raw is None else StoredDocument(docid, raw, self._fields)

    def text(self, docid: str) -> str | None:
        """The text as it was given to the encoder; None when the index has no such document.

        Raises:
            IndexingError: No JSON is stored of the document.
            CollectionError: The JSON has no text.
        """
        return self.texts([docid])[0]

    def texts(self, docids: Sequence[str]) -> list[str | None]:
        """The texts of many documents at once, as `text` gives each."""
        raws = self._index.stored_fields(docids, "raw")
        return [self._text(docid, raw) for docid, raw in zip(docids, raws, strict=True)]

    def _text(self, docid: str, raw: str | None) -> str | None:
        if raw is None:
            if not self._index.holds([docid])[0]:
                return None
            raise IndexingError(
                f"the index {self._index.path} stores no text of document {docid}: build it from "
                "a collection, with `python -m hypserini.index --collection`."
            )
        value = _object(raw)
        if value is None:
            raise IndexingError(
                f"the index {self._index.path} stores no JSON object of document {docid}: build it "
                "from a collection, with `python -m hypserini.index --collection`."
            )
        return _text(value, self._fields, f"{self._index.path}, document {docid}")


def _object(raw: str) -> dict[str, Any] | None:
    """The JSON object that is stored, or None where something else is."""
    try:
        value = parse_json(raw)
    except Malformed:
        return None
    return value if isinstance(value, dict) else None


def _text(value: dict[str, Any], fields: Sequence[str], where: str) -> str:
    # Of a TSV or a data set, the text alone is stored, whatever the fields it was made of.
    chosen = fields if any(field in value for field in fields) else None
    with placed(where, CollectionError):
        return text_of(value, chosen)
