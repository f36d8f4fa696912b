"""`python -m benchmarks [name ...]`: run the named measurements, or all of them."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ["encoding", "exhaustive", "gpu", "indexing", "rerank", "steering", "training"]
ONLY_BY_NAME = ["effectiveness"]
"""Trains for hours: left out where all are run."""


def main(names: list[str]) -> int:
    """Run the benchmarks; an unknown name lists those that there are."""
    known = [*NAMES, *ONLY_BY_NAME]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark {unknown[0]}: choose from {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or NAMES:
        import_module(f"benchmarks.{name}").main([])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
