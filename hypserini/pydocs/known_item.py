"""Held-out known-item topics: the summary line is the query, the rest of the text the document.

Whole packages are held out of the bundled model's training, so that nothing of the documents, of
their queries or of their neighbours was seen. A topic's document is indexed without its summary.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypserini.formats.output import atomic_output
from hypserini.pydocs.docstrings import Docstring, plain

HELD_OUT = frozenset({"pandas", "scipy", "sklearn"})
"""Packages that the bundled model never saw; Pyserini needs all three, so they are always there."""

VALIDATION = frozenset({"astropy", "networkx"})
"""Packages that it did not learn from either: what was chosen about its training, was chosen on
topics made of these."""

MINIMUM_REST_WORDS = 30
SUMMARY_WORDS = range(4, 31)


@dataclass(frozen=True, slots=True)
class KnownItem:
    """One topic: its only relevant document is `docid`, indexed without the words of `query`."""

    qid: str
    query: str
    docid: str


def is_held_out(docstring: Docstring) -> bool:
    """Whether the documentation string belongs to a held-out package."""
    return docstring.package in HELD_OUT


def select_topics(
    docstrings: Sequence[Docstring], count: int = 400, packages: Container[str] = HELD_OUT
) -> list[KnownItem]:
    """Choose at most `count` topics from the held-out packages, the same ones at every call.

    A topic needs a summary of 4 to 30 words that no other document shares and that is not repeated
    in the rest of its own text, and at least 30 words of such a rest.
    """
    shared = Counter(plain(d.summary) for d in docstrings)
    eligible = [d for d in docstrings if d.package in packages and _makes_a_topic(d, shared)]
    chosen = sorted(eligible, key=lambda d: draw(d.docid))[:count]
    chosen.sort(key=lambda d: d.docid)
    return [KnownItem(f"k{n}", d.summary, d.docid) for n, d in enumerate(chosen, 1)]


def sample_collection(
    docstrings: Sequence[Docstring], topics: Iterable[KnownItem], limit: int | None
) -> list[Docstring]:
    """At most `limit` documents in their order: the topics' own first, then the held-out packages'
    (the hardest to tell apart from them), then the others, by a draw that depends on docids alone.
    """
    if limit is None or len(docstrings) <= limit:
        return list(docstrings)
    needed = {topic.docid for topic in topics}
    ranked = sorted(
        docstrings, key=lambda d: (d.docid not in needed, not is_held_out(d), draw(d.docid))
    )
    kept = {d.docid for d in ranked[: max(limit, len(needed))]}
    return [d for d in docstrings if d.docid in kept]


def write_topics(topics: Iterable[KnownItem], path: str | os.PathLike[str]) -> Path:
    """Write topics as TSV: query id, tab, query."""
    with atomic_output(path) as file:
        file.writelines(f"{t.qid}\t{t.query}\n" for t in topics)
    return Path(path)


def write_qrels(topics: Iterable[KnownItem], path: str | os.PathLike[str]) -> Path:
    """Write TREC qrels with the one relevant document of each topic."""
    with atomic_output(path) as file:
        file.writelines(f"{t.qid} 0 {t.docid} 1\n" for t in topics)
    return Path(path)


def draw(key: str) -> bytes:
    """A number drawn for `key`, the same on every machine: the order of all sampling here."""
    return hashlib.blake2b(key.encode(), digest_size=8).digest()


def _makes_a_topic(docstring: Docstring, shared: Counter[str]) -> bool:
    summary, rest = plain(docstring.summary), plain(docstring.rest)
    return (
        len(docstring.summary.split()) in SUMMARY_WORDS
        and len(rest.split()) >= MINIMUM_REST_WORDS
        and shared[summary] == 1
        and summary not in rest
    )
