"""The memory and time of in-batch scoring as training does it, against autograd on its own.

Each row is a process of its own, whose resident memory at its peak is read (on a GPU: the most
that torch had allocated), over what it had before the first weight was made. `held` is what cannot
be avoided: document vectors, weights and scores, and with the backward pass their gradients.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.machine import table
from hypserini.modeling import QNet, QNetConfig

ROUNDS = 3
STATUS = Path("/proc/self/status")


def resident(field: str) -> int:
    """Bytes of memory of this process: `VmRSS` now, `VmHWM` at the peak."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} does not say {field}")


def make(queries: int, documents: int, dim: int, blocks: int, device: str) -> tuple:
    """A q-net with random weights, in the layout of the hypernetwork's, and documents."""
    config = QNetConfig((dim,) * (blocks + 1) + (1,))
    matrices = [
        torch.randn(queries, o, i, device=device).div_(i**0.5).requires_grad_().transpose(1, 2)
        for i, o in config.matrix_shapes
    ]
    vectors = [torch.randn(queries, size, device=device) for size in config.vector_sizes]
    q_net = QNet(config, matrices, [vector.requires_grad_() for vector in vectors])
    return q_net, torch.randn(documents, dim, device=device).requires_grad_()


def measure(queries: int, documents: int, dim: int, blocks: int, way: str, backward: bool) -> dict:
    """Score in this process, which must not have done anything before."""
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def score(q_net: QNet, x: torch.Tensor) -> torch.Tensor:
        return q_net(x, training=True) if way == "ours" else q_net.forward(x, training=True)

    score(
        *make(2, documents, dim, 1, device)
    ).sum().backward()  # what libraries need for themselves
    on_gpu = device == "cuda"
    before = torch.cuda.memory_allocated() if on_gpu else resident("VmRSS")
    q_net, x = make(queries, documents, dim, blocks, device)
    inputs = [x, *q_net.matrices, *q_net.vectors]
    times = []
    for _ in range(ROUNDS):
        gradients: tuple[torch.Tensor, ...] = ()
        started = time.perf_counter()
        scores = score(q_net, x)
        gradients = torch.autograd.grad(scores.sum(), inputs) if backward else ()
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    peak = (torch.cuda.max_memory_allocated() if on_gpu else resident("VmHWM")) - before
    held = sum(tensor.nbytes for tensor in (*inputs, scores, *gradients))
    return {"held": held, "peak": peak, "seconds": min(times)}


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--documents", type=int, default=512)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--one", choices=["ours", "autograd"], help="measure in this process")
    parser.add_argument("--backward", action="store_true")
    args = parser.parse_args(argv)
    shape = (args.queries, args.documents, args.dim, args.blocks)
    if args.one:
        print(json.dumps(measure(*shape, args.one, args.backward)))
        return
    rows = []
    flags = ["--queries", "--documents", "--dim", "--blocks"]
    sizes = [word for flag, size in zip(flags, shape, strict=True) for word in (flag, str(size))]
    for backward in ([], ["--backward"]):
        for way in ("ours", "autograd"):
            command = [sys.executable, "-m", "benchmarks.scoring_memory", "--one", way]
            done = subprocess.run(
                [*command, *backward, *sizes], check=True, capture_output=True, text=True
            )
            found = json.loads(done.stdout)
            rows.append(
                [
                    "forward and backward" if backward else "forward",
                    way,
                    f"{found['held'] / 2**20:.0f}",
                    f"{found['peak'] / 2**20:.0f}",
                    f"{found['peak'] / found['held']:.2f}",
                    f"{found['seconds']:.1f}",
                ]
            )
    table(
        f"Scoring of {args.documents} documents by {args.queries} q-nets, {args.dim} dimensions, "
        f"{args.blocks} blocks, with gradients (time: best of {ROUNDS})",
        ["pass", "way", "held MiB", "peak MiB", "peak / held", "seconds"],
        rows,
    )


if __name__ == "__main__":
    main()
