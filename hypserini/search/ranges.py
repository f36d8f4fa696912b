"""Refuses numbers that a search can make nothing of."""

from __future__ import annotations

import math

from hypserini.errors import shown


def check_range(least: float, most: float = math.inf, **values: float | None) -> None:
    """Refuse numbers out of a range; None, for what is left out, passes.

    Raises:
        ValueError: One is less than `least`, more than `most`, or not a number; names it.
    """
    for name, value in values.items():
        if value is not None and not (least <= value <= most and value < math.inf):
            wanted = f"at least {least:,}" if most == math.inf else f"from {least:,} to {most:,}"
            raise ValueError(f"{name} is {shown(value)} and must be {wanted}")
