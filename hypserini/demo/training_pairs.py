"""Training pairs for the bundled model: (question, document) out of documentation strings.

Three kinds of pairs, because three kinds of matching are wanted: the summary finds the rest of its
text (as in the known-item topics), any sentence finds the text it was taken out of (the inverse
cloze task), and a few words of the summary find the whole text (as in real questions).
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hypserini.formats.output import atomic_output
from hypserini.pydocs.docstrings import Docstring, name_in_words, plain
from hypserini.pydocs.known_item import VALIDATION, is_held_out

MINIMUM_REST_WORDS = 8
NEIGHBOURS = 16
"""So many pairs that follow each other in their package's modules always stay together."""

RUN_LENGTH = 8
SHARED = 0.3

# How the kinds of pairs share the documents that have enough text beside the summary.
_REST_SHARE = 0.7
_SENTENCE_SHARE = 0.15
# Of the documents with little more than a summary, so many are used in each epoch.
_SHORT_SHARE = 0.3

_QUESTIONS = ("how to {}", "how do I {}", "{} in python", "function to {}", "{}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, the document that answers it, and the package both come from."""

    query: str
    document: str
    docid: str
    package: str


def without_leaks(docstrings: Iterable[Docstring]) -> list[Docstring]:
    """The documentation strings that a model may learn from.

    Left out are the packages that are held out for testing and for validation, and everywhere else
    what repeats a summary or a text of theirs, or shares more than `SHARED` of its runs of
    `RUN_LENGTH` words with them (libraries copy each other's documentation, now and then with a
    word changed).
    """
    docstrings = list(docstrings)
    held_out = [d for d in docstrings if _is_kept_back(d)]
    texts = {plain(t) for d in held_out for t in (d.summary, d.text, d.rest)} - {""}
    runs = {run for d in held_out for run in _runs(d.text)}
    return [
        d
        for d in docstrings
        if not _is_kept_back(d)
        and texts.isdisjoint((plain(d.summary), plain(d.text), plain(d.rest)))
        and not _repeats(d.text, runs)
    ]


def _is_kept_back(docstring: Docstring) -> bool:
    return is_held_out(docstring) or docstring.package in VALIDATION


def _runs(text: str) -> set[int]:
    """Hashes of every `RUN_LENGTH` words that follow each other."""
    words = plain(text).split()
    return {hash(tuple(words[i : i + RUN_LENGTH])) for i in range(len(words) - RUN_LENGTH + 1)}


def _repeats(text: str, runs: set[int]) -> bool:
    own = _runs(text)
    return len(own & runs) > SHARED * len(own)


def one_per_summary(docstrings: Iterable[Docstring]) -> list[Docstring]:
    """Of several documents with one summary the first: the others would be false negatives."""
    seen: set[str] = set()
    kept = []
    for d in docstrings:
        if (key := plain(d.summary)) not in seen:
            seen.add(key)
            kept.append(d)
    return kept


def make_pairs(
    docstrings: Sequence[Docstring],
    epochs: int,
    seed: int,
    *,
    batch: int = 128,
    group: int = 32,
) -> Iterator[Pair]:
    """Yield the pairs of `epochs` passes over the documents, in the order of training.

    Pairs of one package stand together in groups of `group`, and so become each other's negatives
    in a batch: the larger, the harder (a multiple of `NEIGHBOURS`, or 8 for easy ones). Batches
    are put together from groups of about the same length, which saves padding.
    """
    rng = random.Random(seed)
    for _ in range(epochs):
        by_package: dict[str, list[Pair]] = defaultdict(list)
        for docstring in docstrings:
            if pair := _pair(docstring, rng):
                by_package[pair.package].append(pair)
        groups = [g for pairs in by_package.values() for g in _groups(pairs, group, rng)]
        rng.shuffle(groups)
        stretch = max(1, 16 * batch // group)
        for start in range(0, len(groups), stretch):
            near = sorted(groups[start : start + stretch], key=_median_length)
            pairs = [pair for one in near for pair in one]
            batches = [pairs[i : i + batch] for i in range(0, len(pairs), batch)]
            rng.shuffle(batches)
            batches.sort(key=len, reverse=True)  # the one that is not full last
            for one in batches:
                yield from one


def _groups(pairs: list[Pair], size: int, rng: random.Random) -> Iterator[list[Pair]]:
    """Groups of pairs of one package, each of a few runs of neighbours."""
    pairs.sort(key=lambda pair: pair.docid)
    run = min(NEIGHBOURS, size)
    runs = [pairs[i : i + run] for i in range(0, len(pairs), run)]
    rng.shuffle(runs)
    together = size // run
    for i in range(0, len(runs), together):
        yield [pair for one in runs[i : i + together] for pair in one]


def _median_length(group: Sequence[Pair]) -> int:
    return sorted(len(pair.document) for pair in group)[len(group) // 2]


def write_training_data(pairs: Iterable[Pair], path: str | os.PathLike[str]) -> int:
    """Write pairs as the JSON lines that `hypserini.train` reads; return their number."""
    count = 0
    with atomic_output(path) as file:
        for count, pair in enumerate(pairs, 1):
            item = {"id": pair.docid, "content": pair.document, "score": 1.0, "type": "positive"}
            line = {"query": {"id": str(count), "content": pair.query}, "items": [item]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return count


def _pair(docstring: Docstring, rng: random.Random) -> Pair | None:
    """One pair of a kind drawn at random among those that the text allows."""
    kind = rng.random()
    has_rest = len(docstring.rest.split()) >= MINIMUM_REST_WORDS
    if has_rest and kind < _REST_SHARE:
        query, document = docstring.summary, docstring.contents(with_summary=False)
    elif (
        has_rest
        and kind < _REST_SHARE + _SENTENCE_SHARE
        and (sentence := _sentence(docstring.rest, rng))
    ):
        query, document = sentence, docstring.contents().replace(sentence, " ")
    elif has_rest or kind < _SHORT_SHARE:
        query, document = _reworded(docstring, rng), docstring.contents()
    else:
        return None
    if len(query.split()) < 3:
        return None
    return Pair(query, document, docstring.docid, docstring.package)


def _sentence(text: str, rng: random.Random) -> str | None:
    """A sentence of plain words from the text, exactly as it stands there."""
    sentences = re.findall(r"(?<=[.\n]\s)[A-Z][\w ,'\n()-]{25,200}[.]", text)
    good = [s for s in sentences if 5 <= len(s.split()) <= 30]
    return rng.choice(good) if good else None


def _reworded(docstring: Docstring, rng: random.Random) -> str:
    """The summary as a question would put it: fewer words, now and then the name's among them."""
    words = re.findall(r"[\w'-]+", docstring.summary)
    dropped = rng.choice((0.0, 0.2, 0.4))
    kept = [w for w in words if rng.random() >= dropped] or words
    if rng.random() < 0.2:
        kept += name_in_words(docstring.docid).split()
    question = rng.choice(_QUESTIONS) if rng.random() < 0.4 else "{}"
    return question.format(" ".join(kept).lower())
