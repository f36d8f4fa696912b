"""The hits of BM25 and of the q-net side by side, as lines of text, for the interactive prompt."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypserini.search.bm25 import Bm25
    from hypserini.search.filters import Filter
    from hypserini.search.ranking import Hit
    from hypserini.search.searcher import LuceneHypencoderSearcher

GAP = "   "
TITLE_KEYS = ("title", "headline", "name")


def answer(
    searcher: LuceneHypencoderSearcher,
    bm25: Bm25,
    query: str,
    k: int,
    width: int,
    filter: Filter | None = None,
) -> list[str]:
    """Search with both and lay the hits out in two columns.

    Args:
        searcher: The q-net's searcher.
        bm25: BM25 over the same index.
        query: What to search for.
        k: Hits of either.
        width: Characters of a line.
        filter: Show only these documents.
    """
    column = max(20, (width - len(GAP)) // 2)
    left = _column("BM25", searcher, bm25.search(query, k, filter), column)
    right = _column("q-net", searcher, searcher.search(query, k, filter=filter), column)
    rows = zip_longest(left, right, fillvalue="")
    return [f"{one:<{column}}{GAP}{other}".rstrip() for one, other in rows]


def read_query() -> str:
    """A line from the terminal, or "" at its end."""
    try:
        return input("\n? ").strip()
    except EOFError:
        return ""


def _column(
    name: str, searcher: LuceneHypencoderSearcher, hits: Sequence[Hit], width: int
) -> list[str]:
    """A heading, and three lines a hit: rank, score and docid; the title; the text's beginning."""
    lines = [name, "-" * width]
    if not hits:
        lines.append("nothing found")
    for rank, hit in enumerate(hits, start=1):
        title, text = title_and_text(searcher, hit.docid)
        lines.append(f"{rank:2} {hit.score:9.3f}  {hit.docid}"[:width])
        lines.append("   " + _shorten(title, width - 3))
        lines.append("   " + _shorten(text, width - 3))
    return lines


def title_and_text(searcher: LuceneHypencoderSearcher, docid: str) -> tuple[str, str]:
    """A document's title, or its first line, and the rest; empty if nothing is stored."""
    document = searcher.doc(docid)
    if document is None:
        return "", ""
    text = document.shown()
    titles = (document.get(key) for key in TITLE_KEYS)
    title = next((found for found in titles if isinstance(found, str) and found.strip()), "")
    if not title:
        title, _, text = text.strip().partition("\n")
        if not text:  # one line: its beginning is the title, and what follows the text
            title, text = title[:60], title[60:]
    elif text.startswith(title):
        text = text[len(title) :]
    return _plain(title), _plain(text)


def _plain(text: str) -> str:
    """The text on one line, without control characters, which a terminal would obey."""
    return "".join(
        char for char in " ".join(text.split()) if not unicodedata.category(char).startswith("C")
    )


def _shorten(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder=" ...") or text[:width]
