"""Whether explanations hold: the parts against the score, and what leaving words out costs.

Run with `python -m benchmarks.explain --index INDEX --topics TOPICS`: explains the best document of
each topic, then encodes it again without the three words that raise its score most, and without
three others of its words at random.
"""

from __future__ import annotations

import argparse
import random
import re

import numpy as np
import torch

from hypserini import LuceneHypencoderSearcher
from hypserini.encode import DocumentEncoder
from hypserini.formats.topics import load_topics
from hypserini.search.explain import Words

WORDS = 3


def without(text: str, words: set[str]) -> str:
    """A text less some words, whatever their case."""
    if not words:
        return text
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", " ", text, flags=re.IGNORECASE)


def missed(words: Words, score: float) -> float:
    """The share of the score that baseline and words do not add up to."""
    total = words.baseline + sum(word.value for word in words.words)
    return abs(total - score) / max(abs(score), 1e-6)


def main() -> None:
    """Explain, leave out, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", required=True)
    parser.add_argument("--topics", required=True)
    parser.add_argument("--documents", type=int, default=100)
    args = parser.parse_args()
    generator = random.Random(0)
    queries = load_topics(args.topics).texts[: args.documents]
    off: list[float] = []
    lost: dict[str, list[float]] = {"strongest": [], "random": []}
    with LuceneHypencoderSearcher(args.index, device="cpu") as searcher:
        encoder = DocumentEncoder(searcher.encoder.model)
        for query in queries:
            [hit] = searcher.search(query, 1)
            found = searcher.explain(query, hit.docid, query_words=False).document_words
            if found is None:
                continue
            off.append(missed(found, hit.score))
            text = searcher.contents(hit.docid) or ""
            told = sorted({w.text.lower() for w in found.words if re.fullmatch(r"\w+", w.text)})
            strongest = [w.text for w in found.strongest(len(told)) if w.text in set(told)][:WORDS]
            others = generator.sample(told, min(len(strongest), len(told)))
            q_net = searcher.encoder.encode([query])
            texts = [without(text, set(strongest)), without(text, set(others))]
            scores = q_net.score(torch.from_numpy(encoder.encode(texts)))[0].tolist()
            for name, score in zip(lost, scores, strict=True):
                lost[name].append(hit.score - score)
    strongest_lost, random_lost = (np.array(values) for values in lost.values())
    print(f"{len(off)} documents; the parts miss {np.mean(off):.2%} of the score in the mean,")
    print(f"{max(off):.2%} at most, more than 1 % in {sum(each > 0.01 for each in off)}")
    print(f"score lost without the {WORDS} words marked strongest: {strongest_lost.mean():.3f},")
    print(f"without {WORDS} at random: {random_lost.mean():.3f};", end=" ")
    print(f"the former is more for {(strongest_lost > random_lost).sum()} of {len(off)}")


if __name__ == "__main__":
    main()
