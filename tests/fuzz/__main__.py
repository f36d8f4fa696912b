"""Gives every reader strange files and looks for what it should not raise or return.

python -m tests.fuzz --inputs 100000
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.attempt import attempt
from fuzz.inputs import make, pack
from fuzz.readers import readers

SECONDS = 20
"""How long a reader may take over one small file."""


def main() -> int:
    """Run; returns 1 if a reader raised or returned what it should not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="over all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose name contains this")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    chosen = [reader for reader in readers() if args.only in reader.name]
    share = -(-args.inputs // len(chosen))
    faults = total = 0
    signal.signal(signal.SIGALRM, _too_slow)
    folder = Path(tempfile.mkdtemp(prefix="hypserini-fuzz-"))
    os.environ["HYPSERINI_CACHE"] = str(folder / "cache")
    print(f"{share:,} inputs for each of {len(chosen)} readers, in {folder}", flush=True)
    for number, reader in enumerate(chosen):
        path = reader.prepare(folder / str(number))
        kinds: Counter[str] = Counter()
        started = time.perf_counter()
        for turn in range(share):
            random = Random(f"{args.seed} {reader.name} {turn}")
            data, target = make(random, reader), path
            if path.suffix in (".txt", ".tsv", ".jsonl", ".json") and random.random() < 0.05:
                data, target = pack(random, data), path.with_name(path.name + ".gz")
            target.write_bytes(data)
            signal.alarm(SECONDS)
            kind, fault = attempt(reader, target)
            signal.alarm(0)
            kinds[kind] += 1
            if target != path:
                target.unlink()
            if fault:
                faults += 1
                print(f"  {reader.name}, input {turn}: {fault}\n    {data[:300]!r}", flush=True)
        total += share
        seconds = time.perf_counter() - started
        said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        print(f"{reader.name}: {share:,} inputs ({said}), {seconds:.0f} s", flush=True)
    print(f"{total:,} inputs, {faults} faults")
    return 1 if faults else 0


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"not done after {SECONDS} s")


if __name__ == "__main__":
    raise SystemExit(main())
