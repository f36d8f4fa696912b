"""How far a tangent search goes: its options, and the numbers that follow from them and from k."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from hypserini.index.reader import SOME
from hypserini.search.ranges import check_range
from hypserini.search.scorer import TILE

ROUNDS = 8
"""At most: the first that brings nothing among the best is the last."""

MOSTLY = 3
"""So many rounds a search takes mostly."""


TELLING = 10
"""So many of the best have to stay, though fewer are wanted, for a round to be the last."""


@dataclass(frozen=True, slots=True)
class TangentOptions:
    """How far a tangent search goes; what is None follows k.

    Attributes:
        fetch: Documents scored a round.
        rounds: Rounds at most.
        ef: Documents kept by the vector search of the first round: more find what is nearest more
            surely. By default as many as three rounds fetch.
        max_scored: Documents scored a query, at most. As many as there are: exhaustive search.
        stable: The share of the best k that a round may still change to be the last; below 0, none
            is the last before all rounds are done. By default one in 200: of 100 hits, none.
        steering: Search for them by the `format`, or by raw `floats`; by default what suits the
            index better.
    """

    fetch: int | None = None
    rounds: int | None = None
    ef: int | None = None
    max_scored: int | None = None
    stable: float = 0.005
    steering: Literal["format", "floats"] | str | None = None

    def __post_init__(self) -> None:
        if self.steering not in (None, "format", "floats"):
            raise ValueError(f"steering is {self.steering!r} and must be 'format' or 'floats'")
        check_range(1, fetch=self.fetch, rounds=self.rounds, ef=self.ef)
        check_range(1, max_scored=self.max_scored)
        check_range(-1, 1, stable=self.stable)

    def follow(self, k: int) -> Plan:
        """The numbers for `k` hits."""
        fetch = self.fetch or TILE * math.ceil(max(30 * math.sqrt(k), 0.98 * k) / TILE)
        rounds = self.rounds or ROUNDS
        return Plan(
            fetch=fetch,
            rounds=rounds,
            ef=max(fetch, self.ef or MOSTLY * fetch),
            wide_ef=max(fetch, self.ef or math.ceil(1000 * math.sqrt(k))),
            first=first_points(self.max_scored),
            max_scored=self.max_scored or SOME + fetch * rounds,
            expected=self.max_scored or SOME + fetch * min(rounds, MOSTLY),
            stable=int(self.stable * k),
            steering=self.steering,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a search for a certain k; as in `TangentOptions`, `stable` in documents.

    Attributes:
        wide_ef: `ef` where the graph was built by another similarity than the scores follow.
        first: Documents scored to know where to look first.
        expected: Documents scored, mostly.
    """

    fetch: int
    rounds: int
    ef: int
    wide_ef: int
    first: int
    max_scored: int
    expected: int
    stable: int
    steering: str | None

    def within(self, documents: int) -> Plan:
        """The same, without looking for more than there is in an index of so many documents."""
        most = max(1, documents)
        return replace(
            self,
            fetch=min(self.fetch, most),
            ef=min(self.ef, most),
            wide_ef=min(self.wide_ef, most),
        )


def first_points(max_scored: int | None) -> int:
    """How many documents tell where to look first: of a budget, half at most."""
    return SOME if max_scored is None else min(SOME, max(1, max_scored // 2))
