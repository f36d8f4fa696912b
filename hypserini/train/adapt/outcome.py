"""What came of an adaptation: encoder and head on queries held out, and a section of the card."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.adapt.material import About
from hypserini.train.adapt.options import AdaptOptions
from hypserini.train.data.examples import WholeExample
from hypserini.train.teach.agreement import Agreement, agreement
from hypserini.train.teach.teachers import EncoderTeacher

HEADING = "## Adaptation"
"""Of its section in the card, which is written last."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it, on the queries held out.

    Attributes:
        figures: nDCG@10 of the query's own document, of `encoder` and of `head`.
        agreement: With the teacher, over the candidates, of both.
    """

    figures: dict[str, float]
    agreement: dict[str, Agreement]


def compare(
    index: str, model: str | None, head: str, examples: Sequence[WholeExample], device: str
) -> Adapted:
    """Measure encoder and head on queries held out, of their documents and their teacher."""
    taught = np.asarray([item["score"] for e in examples for item in e["items"]], np.float32)
    texts = [e["query"]["content"] for e in examples]
    own = [e["items"][0]["id"] for e in examples]
    figures, agreements = {}, {}
    for name, searching in (("encoder", model), ("head", head)):
        with closing(EncoderTeacher(index, searching, device, "float32")) as scorer:
            scores = scorer.score(examples)
        agreements[name] = agreement(examples, taught, scores)
        with LuceneHypencoderSearcher(index, searching, device=device) as searcher:
            found = searcher.batch_search(texts, [str(n) for n in range(len(texts))], 10)
        gains = [
            1 / np.log2(rank + 1)
            for n, docid in enumerate(own)
            for rank, hit in enumerate(found[str(n)], start=1)
            if hit.docid == docid
        ]
        figures[name] = float(sum(gains) / len(texts))
    return Adapted(figures, agreements)


def section(found: Adapted, options: AdaptOptions, about: About) -> str:
    """What the card says of it."""
    rows = [
        f"| {words} | {found.figures[name]:.4f} | {found.agreement[name].correlation:.3f} | "
        f"{found.agreement[name].overlap:.3f} |"
        for name, words in (("encoder", f"{about.encoder}, dot product"), ("head", "this head"))
    ]
    source = (
        f"of {Path(options.pairs).name}"
        if options.pairs
        else "cut out of the collection's own texts, no label used"
    )
    return (
        f"\n{HEADING}\n\n{about.queries:,} queries {source}, each with up to "
        f"{2 * options.candidates} candidates from BM25 and from the encoder, scored by "
        f"{about.teacher}. {about.held_out} were held "
        "out: on one half, which did not choose the checkpoint, the query's own document is found "
        "with nDCG@10, and the candidates are ranked as the teacher ranks them with Kendall's tau "
        "and the overlap of the best ten:\n\n"
        "| | nDCG@10 | tau | overlap@10 |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
