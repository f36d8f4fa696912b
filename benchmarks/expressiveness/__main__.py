"""`python -m benchmarks.expressiveness`: two tables, in a few minutes on two cores."""

from __future__ import annotations

import argparse

from benchmarks.expressiveness.exactly_one import precision
from benchmarks.expressiveness.pairs import SIZES, largest
from benchmarks.machine import table

NAMES = {0: "dot product", 1: "q-net, 1 block", 2: "q-net, 2 blocks"}


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 3, 4, 6])
    parser.add_argument("--most", type=int, default=SIZES[-1], help="documents tried at most")
    parser.add_argument("--steps", type=int, default=3000, help="of optimising free vectors")
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--training-steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args(argv)
    how = {"steps": args.steps, "restarts": args.restarts, "most": args.most}
    rows = [
        [name, *(str(largest(dim, blocks, **how)) for dim in args.dimensions)]
        for blocks, name in NAMES.items()
    ]
    table(
        f"most documents (of up to {args.most}) whose every pair is some query's top two",
        ["free vectors", *(f"{dim} dimensions" for dim in args.dimensions)],
        rows,
    )
    rows = []
    for blocks, name in NAMES.items():
        found = [
            precision(blocks, steps=args.training_steps, seed=seed) for seed in range(args.seeds)
        ]
        rows.append([name, *(f"{value:.3f}" for value in found)])
    table(
        '"exactly one of A and B", pairs held out: mean average precision',
        ["", *(f"seed {seed}" for seed in range(args.seeds))],
        rows,
    )


if __name__ == "__main__":
    main()
