"""Queries made of a collection's own texts: titles, first sentences, spans cut out of sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypserini.index.stored_text import StoredTexts

FEWEST_WORDS = 3
MOST_WORDS = 32
SPAN = (4, 12)
"""Words of a span, at least and at most."""

AT_ONCE = 512

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class PseudoQuery(NamedTuple):
    """A query and the document it was made of."""

    docid: str
    text: str


def pseudo_queries(
    texts: StoredTexts, docids: Sequence[str], count: int, rng: random.Random
) -> Iterator[PseudoQuery]:
    """Make queries of documents, one of each in turn, until there are enough or no more new ones.

    Args:
        texts: Of the index.
        docids: Its documents.
        count: How many queries.
        rng: Decides which documents come first and what is cut out.

    Raises:
        IndexingError: The index stores no text.
    """
    order = list(docids)
    rng.shuffle(order)
    made: set[str] = set()
    for _ in range(max(1, -(-count // max(1, len(order))))):
        for start in range(0, len(order), AT_ONCE):
            part = order[start : start + AT_ONCE]
            for docid, contents in zip(part, texts.texts(part), strict=True):
                document = texts.document(docid)
                title = document.get("title") if document else None
                text = _query(title if isinstance(title, str) else "", contents or "", rng)
                if text is None or text in made:
                    continue
                made.add(text)
                yield PseudoQuery(docid, text)
                if len(made) == count:
                    return


def _query(title: str, contents: str, rng: random.Random) -> str | None:
    """One query of a document, of a kind that is drawn; None if it has too few words."""
    sentences = [s for s in _SENTENCE.split(contents) if len(s.split()) >= FEWEST_WORDS]
    choices = [s.split()[:MOST_WORDS] for s in sentences[:1]]
    if len(title.split()) >= FEWEST_WORDS:
        choices.append(title.split()[:MOST_WORDS])
    if sentences:
        words = rng.choice(sentences).split()
        length = min(rng.randint(*SPAN), len(words))
        start = rng.randint(0, len(words) - length)
        # Twice: spans are as many as a document is long, the others are one each.
        choices += [words[start : start + length]] * 2
    return " ".join(rng.choice(choices)) if choices else None
