"""What a collection takes that no machine here holds, on paper, from what was measured at scale.

    python -m benchmarks.plan --documents 138364198 --shard-documents 1000000

Every figure comes from `benchmarks/results/scale.json` (another by `--results`) and the flags, of
which the encoding's rate and the price are assumptions. Shards of a size that was measured are
taken as measured; for larger ones, time to build grows by the power of the two largest sizes, and
bytes, memory and time to search are as the largest size has them.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "scale.json"
GB = 1e9
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Measured:
    """One shard of a size, as it was measured or reckoned, on so many cores.

    Attributes:
        cores: Of the machine that was measured.
        build_s: Seconds to add all documents and merge them.
        disk: Bytes of its files.
        memory: Bytes of them that a search keeps in memory.
        peak: Bytes that the build takes.
        search_ms: The median of a query, alone.
        query_cores: Core-seconds of a query, in batches.
        is_measured: Whether this size was measured.
    """

    cores: int
    build_s: float
    disk: float
    memory: float
    peak: float
    search_ms: float
    query_cores: float
    is_measured: bool


def shard_of_size(results: Mapping[str, Any], documents: int, vectors: str, k: int) -> Measured:
    """What a shard takes."""
    built = {one["documents"]: one for one in results["building"] if one["vectors"] == vectors}
    searched = {
        one["documents"]: one
        for one in results["searching"]
        if (one["vectors"], one["method"], one["k"]) == (vectors, "tangent", k)
    }
    sizes = sorted(built.keys() & searched.keys())
    if not sizes:
        raise SystemExit(f"no shard of {vectors} was measured with k = {k}: give others")
    size = next((size for size in sizes if size >= documents), sizes[-1])
    one, search, share = built[size], searched[size], documents / size
    power = 1.0
    if share > 1 and len(sizes) > 1:
        seconds = [_build_s(built[measured]) for measured in sizes[-2:]]
        power = math.log(seconds[1] / seconds[0]) / math.log(sizes[-1] / sizes[-2])
    cores = one["threads"]
    return Measured(
        cores,
        _build_s(one) * share**power,
        one["bytes"] * share,
        one["hot_bytes"] * share,
        one["peak_mib"] * (1 << 20),
        search["median_ms"],
        cores / search["queries_a_second"],
        documents in sizes,
    )


def _build_s(built: Mapping[str, float]) -> float:
    return built["adding_s"] + built["merging_s"]


def plan(args: argparse.Namespace, results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the whole takes, a line each."""
    shards = math.ceil(args.documents / args.shard_documents)
    one = shard_of_size(results, args.shard_documents, args.vectors, args.k)
    whole = args.documents / args.shard_documents
    memory = whole * one.memory
    usable = args.memory * GIB * args.used
    machines = max(1, math.ceil(memory / usable))
    cores = machines * args.cores
    text = args.documents * args.text_bytes
    at_once = min(shards, max(1, cores // one.cores))
    at_once = min(at_once, machines * max(1, int(usable // one.peak)))
    building_h = math.ceil(shards / at_once) * one.build_s / 3600
    encoding_h = args.documents / (args.encoded * args.gpus) / 3600
    query = whole * one.query_cores
    waves = math.ceil(shards / (cores / one.cores))
    how = "as measured" if one.is_measured else "reckoned from the largest measured"
    return [
        ("shards", f"{shards:,} of {args.shard_documents:,} documents, {how}"),
        ("disk of the index", f"{(whole * one.disk + text) / GB:,.0f} GB"),
        ("  of it texts", f"{text / GB:,.0f} GB, at {args.text_bytes:g} bytes each (--text-bytes)"),
        ("  while it is built", f"+ {2 * at_once * one.disk / GB:,.0f} GB of merges"),
        ("memory to search", f"{memory / GB:,.0f} GB of files kept in memory"),
        ("machines", f"{machines} of {args.cores} cores and {args.memory:g} GiB"),
        (
            "encoding",
            f"{encoding_h:,.1f} h at {args.encoded:,.0f}/s on {args.gpus} GPUs (--encoded)",
        ),
        ("writing and merging", f"{building_h:,.1f} h, {at_once} shards at once"),
        ("a query alone", f"{waves * one.search_ms:,.0f} ms, {waves} shards after one another"),
        ("a query in batches", f"{query:,.2f} core-seconds; {cores / query:,.1f} queries/s in all"),
        ("a thousand queries", f"{1000 * query / 3600:,.2f} core-hours"),
        ("  at a price", f"{1000 * query / 3600 * args.price:,.4f} at {args.price:g} a core-hour"),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=138_364_198, help="MS MARCO v2 passages")
    parser.add_argument("--shard-documents", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--vectors", default="hnsw-int8")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--cores", type=int, default=32, help="of a machine")
    parser.add_argument("--memory", type=float, default=64, help="of a machine, GiB")
    parser.add_argument("--used", type=float, default=0.75, help="share of the memory for files")
    parser.add_argument("--text-bytes", type=float, default=400, help="of a document in the index")
    parser.add_argument("--encoded", type=float, default=1000, help="documents/s of a GPU: assumed")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour: assumed")
    args = parser.parse_args(argv)
    results = json.loads(args.results.read_text())
    print(f"{args.documents:,} documents, from {args.results.name}: {results['machine']}\n")
    for name, value in plan(args, results):
        print(f"{name:22}{value}")


if __name__ == "__main__":
    main()
