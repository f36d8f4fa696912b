"""Which items of an example are its positives, and the drawing of those that a step sees."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypserini.formats.values import Malformed
from hypserini.train.data.examples import Example, Item
from hypserini.train.data.section import DataSection


@dataclass(frozen=True, slots=True)
class Selection:
    """What is drawn from each example.

    Attributes:
        positive_filter: `first`: the first item is the positive; `type`: those of `positive_type`
            are; `score_above`: those whose score is above `threshold`. All others are negatives.
        positives: how many are drawn.
        negatives: how many are drawn.
        scores: every item needs a score.
    """

    positive_filter: str = "first"
    positive_type: str = "positive"
    threshold: float = 0.0
    positives: int = 1
    negatives: int = 0
    scores: bool = False

    @staticmethod
    def of(section: DataSection, labels: bool) -> Selection:
        """What a configuration asks for; `labels`: a loss needs the teacher's scores."""
        kwargs: dict[str, Any] = section.positive_filter_kwargs or {}
        return Selection(
            section.positive_filter_type,
            kwargs.get("positive_type", "positive"),
            kwargs.get("score_threshold", 0.0),
            section.num_positives_to_sample,
            section.num_negatives_to_sample,
            labels or section.positive_filter_type == "score_above",
        )

    def check(self, items: Sequence[Item]) -> None:
        """Check that so many can be drawn.

        Raises:
            Malformed: a score is missing, or positives or negatives are too few.
        """
        if self.scores:
            for number, item in enumerate(items):
                if item.score is None:
                    what = "the positive filter" if self._by_score() else "the loss"
                    raise Malformed(f"items[{number}] has no score, which {what} needs.")
        positives, negatives = self._split(items)
        if not positives:
            wanted = f"a score above {self.threshold:g}"
            if self.positive_filter == "type":
                wanted = f'the type "{self.positive_type}"'
            raise Malformed(f"no positive: no item has {wanted}.")
        for name, found, needed in (
            ("positive", len(positives), self.positives),
            ("negative", len(negatives), self.negatives),
        ):
            if found < needed:
                raise Malformed(
                    f"items holds {found} {name}{'s' * (found != 1)}, but "
                    f"num_{name}s_to_sample is {needed}."
                )

    def draw(self, example: Example, rng: random.Random) -> Example:
        """The example with the drawn positives first and the drawn negatives after them."""
        positives, negatives = self._split(example.items)
        # With one that is always the same, nothing is drawn.
        chosen = list(positives)
        if self.positive_filter != "first":
            chosen = rng.sample(positives, self.positives)
        return Example(example.query, (*chosen, *rng.sample(negatives, self.negatives)))

    def _by_score(self) -> bool:
        return self.positive_filter == "score_above"

    def _split(self, items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
        if self.positive_filter == "first":
            return items[:1], items[1:]
        if self._by_score():
            marked = [item.score is not None and item.score > self.threshold for item in items]
        else:
            marked = [item.type == self.positive_type for item in items]
        return (
            [item for item, positive in zip(items, marked, strict=True) if positive],
            [item for item, positive in zip(items, marked, strict=True) if not positive],
        )
