"""What a score is made of, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from hypserini.search.explain import ScoreExplanation, Word, Words

SHOWN = 4


def scores_told(found: ScoreExplanation) -> Iterator[str]:
    """The lines that explain a score."""
    yield f"      linear {found.linear:.4f}, bent by {found.bent:+.4f}"
    for name, words in (("document", found.document_words), ("query", found.query_words)):
        if words is not None:
            yield f"      {name}: {_told(words)}"


def _told(words: Words) -> str:
    raising, lowering = words.strongest(SHOWN), words.strongest(SHOWN, lowering=True)
    parts = [f"{words.baseline:.4f} without words"]
    if raising:
        parts.append(f"raised by {_listed(raising)}")
    if lowering:
        parts.append(f"lowered by {_listed(lowering)}")
    return ", ".join(parts)


def _listed(words: list[Word]) -> str:
    return " ".join(f"{word.text} ({word.value:+.3f})" for word in words)
