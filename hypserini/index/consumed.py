"""What of a collection is in the last commit of a build, so that a changed one is not gone on with.

The documents that are in the index already are read once more before a build is resumed, which
costs little beside encoding them, and compared by a digest. What comes after them may have been
mended meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from hypserini.errors import CollectionError, IndexingError
from hypserini.formats.collection import Collection, Document
from hypserini.index.metadata import PREFIX

logger = logging.getLogger(__name__)

KEY = PREFIX + "consumed_from"
"""Under this, the user data of a commit keeps what `Consumed` knows."""


class Consumed:
    """The documents that were read so far: their digest, the last docid, the size of the files.

    Args:
        collection: Where they come from.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._digest = hashlib.blake2b(digest_size=16)
        self._last = ""

    def add(self, documents: Iterable[Document]) -> None:
        """Take further documents in."""
        for document in documents:
            self._digest.update(f"{document.docid}\t{document.raw}\n".encode(errors="replace"))
            self._last = document.docid

    def check_whole(self, count: int, user_data: Mapping[str, str]) -> None:
        """Refuse a collection that holds other documents than when all of it was read.

        It is read again only where its size is another.

        Args:
            count: The documents in what was built of it.
            user_data: Of its commit; an earlier version's says nothing.

        Raises:
            CollectionError: It has changed.
        """
        if KEY not in user_data:
            return
        before, now = _noted(user_data[KEY])["bytes"], self._collection.total_bytes
        if not before or before == now:
            return
        further = next(self.rest(count, user_data), None)
        if further is not None:
            raise CollectionError(
                f"{self._collection.path} has changed since it was read to its end (document"
                f" {further.docid} is new): give it as it was to resume, or --overwrite to start"
                " again."
            )

    def to_user_data(self) -> dict[str, str]:
        """The strings of a Lucene commit's user data."""
        size = self._collection.total_bytes
        noted = {"digest": self._digest.hexdigest(), "last": self._last, "bytes": size}
        return {KEY: json.dumps(noted)}

    def rest(self, count: int, user_data: Mapping[str, str]) -> Iterator[Document]:
        """The documents after the first `count`, when those are what a commit says of them.

        Args:
            count: The documents in the index.
            user_data: The commit's user data; one of an earlier version says nothing.

        Raises:
            CollectionError: They are others; says what differs.
        """
        if count:
            logger.info("resuming after %s documents, which are compared first", f"{count:,}")
        documents = self._collection.read()
        found = 0
        for document in islice(documents, count):
            self.add([document])
            found += 1
        if KEY in user_data:
            self._compare(found, count, _noted(user_data[KEY]))
        return documents

    def _compare(self, found: int, count: int, noted: dict[str, str | int | None]) -> None:
        last, size = noted["last"], self._collection.total_bytes
        if found < count:
            what = f"it has {found:,} documents, and {count:,} are indexed"
        elif self._last != last:
            what = f"document number {count:,} is {self._last} and was {last}"
        elif self._digest.hexdigest() != noted["digest"]:
            what = f"among the first {count:,} documents are others than were indexed"
        else:
            return
        before = noted["bytes"]
        sizes = f", {before:,} bytes then and {size:,} now" if before and size else ""
        raise CollectionError(
            f"{self._collection.path} has changed since the build was begun ({what}{sizes}): give "
            "it as it was to resume, or --overwrite to start again."
        )


def _noted(text: str) -> dict[str, str | int | None]:
    """What `Consumed.to_user_data` wrote."""
    try:
        noted = json.loads(text)
    except (ValueError, RecursionError):
        noted = None
    if not isinstance(noted, dict) or not {"digest", "last", "bytes"} <= noted.keys():
        raise IndexingError(
            "the unfinished build does not say what it was made of: give --overwrite to start"
            " again."
        )
    return noted
