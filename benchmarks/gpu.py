"""Searches over a field that is resident on a device, and encoding there, at the paper's size.

Vectors are made on the device out of real ones, as those of `benchmarks.scale` are: of the bundled
model over the documentation of the installed packages, turned into the space of `--dim` components,
which leaves their distances as they are. The q-nets are fitted to be as nearly linear as trained
ones. Lucene takes no part but for filters and docids, which are not measured. Without a GPU it says
so and measures nothing, unless a device is named:

    python -m benchmarks.gpu --device cpu --documents 20000 --dim 256 --blocks 2 --queries 4 \\
        --no-encoding
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import BertConfig, BertModel

from benchmarks.machine import table
from benchmarks.scale.data import fit
from benchmarks.scale.made import NEIGHBOURS, STEP, neighbours, strayed
from hypserini.defaults import BUNDLED_MODEL
from hypserini.encode import DocumentEncoder
from hypserini.formats.collection import read_collection
from hypserini.index.reader import SOME, Index
from hypserini.modeling import QNet, load_model
from hypserini.modeling.devices import DTYPES
from hypserini.pydocs.collection import make_collection
from hypserini.search.modes.exhaustive import ExhaustiveOptions, search_exhaustively
from hypserini.search.modes.tangent import TangentOptions, search_by_tangents
from hypserini.search.ranking import Hits
from hypserini.search.resident.field import ResidentField
from hypserini.search.resident.residence import FORMATS
from hypserini.search.scorer import QNetScorer, QueryBatch

MSMARCO = 8_841_823
MADE_AT_ONCE = 1 << 16
K = 10
ROUNDS = 5
TOKENS = 76
"""Of a passage of MS MARCO, on the mean."""
PASSAGES = 2048


class Made:
    """Vectors that are made of anchors block by block, the same each time: `along_neighbours`.

    Stands for an index, too: a search asks it for little beside its vectors.

    Args:
        documents: How many there are.
        anchors: `[n, dim] float32`, equally long, on the device.
    """

    similarity = "l2"
    equally_long = True

    def __init__(self, documents: int, anchors: torch.Tensor) -> None:
        self.num_vectors = documents
        self.dimension = anchors.shape[1]
        self.device = anchors.device
        self.anchors = anchors
        self._near = neighbours(anchors)
        block = next(self.blocks())
        self.some_vectors = block[: SOME * 8 : 8].cpu().numpy()

    def blocks(self) -> Iterator[torch.Tensor]:
        """All vectors, `[up to 65,536, dim] float32`."""
        for start in range(0, self.num_vectors, MADE_AT_ONCE):
            count = min(MADE_AT_ONCE, self.num_vectors - start)
            generator = torch.Generator(self.device).manual_seed(start + 1)
            drawn: dict[str, Any] = {"generator": generator, "device": self.device}
            one = torch.randint(len(self.anchors), (count,), **drawn)
            steps = torch.randn(count, NEIGHBOURS, **drawn) * STEP
            yield as_long(strayed(self.anchors, self._near, one, steps))


def as_long(rows: torch.Tensor) -> torch.Tensor:
    """As long as the states of a BERT, which the paper's q-nets are made for."""
    return rows * (rows.shape[1] ** 0.5 / rows.norm(dim=1, keepdim=True))


def real_anchors(count: int, dim: int, device: torch.device, cache: Path) -> torch.Tensor:
    """Real vectors in a space of `dim` components, `[n, dim] float32`, equally long."""
    files = make_collection(cache / f"python-docs-{count}", count)
    texts = [document.contents for document in read_collection(files.collection)]
    model = load_model(BUNDLED_MODEL, device=str(device))
    real = torch.from_numpy(DocumentEncoder(model).encode(texts)).to(device)
    generator = torch.Generator().manual_seed(0)
    wider = torch.randn(max(dim, real.shape[1]), max(dim, real.shape[1]), generator=generator)
    turned = real @ torch.linalg.qr(wider).Q[: real.shape[1], :dim].to(device)
    return as_long(turned)


class MadeField(ResidentField):
    """A field of made vectors, whose rows are their own docids."""

    def __init__(self, made: Made, dtype: torch.dtype) -> None:
        super().__init__(cast(Index, made), [made.device], dtype)

    def _read(self, vectors: Sequence[torch.Tensor], bounds: Sequence[int], progress: bool) -> None:
        self.docs[:] = np.arange(len(self.docs))
        start = 0
        for block in cast(Made, self.index).blocks():
            vectors[0][start : start + len(block)] = block
            start += len(block)

    def _order(self) -> torch.Tensor:
        return torch.arange(len(self.docs))

    def docids(self, rows: torch.Tensor) -> list[str]:
        """The numbers of the rows."""
        return [str(row) for row in rows.tolist()]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--device", help="default: the GPU; without one nothing is measured")
    parser.add_argument("--documents", type=int, default=MSMARCO)
    parser.add_argument("--anchors", type=int, default=16_384, help="real vectors, of which more")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--format", choices=sorted(FORMATS), default="bf16")
    parser.add_argument("--no-encoding", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench-gpu"))
    args = parser.parse_args(argv)
    if args.device is None and not torch.cuda.is_available():
        print("\nresident searches and encoding on a GPU: not measured on a GPU")
        return
    device = torch.device(args.device or "cuda")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    made = Made(args.documents, real_anchors(args.anchors, args.dim, device, args.cache))
    queries = made.anchors[:: max(1, len(made.anchors) // args.queries)][: args.queries]
    q_nets = QNet.cat(
        [
            fit(query, made.anchors[:4096], args.blocks, seed).to(torch.device("cpu"))
            for seed, query in enumerate(queries)
        ]
    )
    show_searches(name, made, q_nets, args.format)
    if not args.no_encoding:
        show_encoding(name, device)


def show_searches(name: str, made: Made, q_nets: QNet, format: str) -> None:
    """Time and overlap of searches over the field."""
    field = MadeField(made, DTYPES[FORMATS[format]])
    size = field.parts[0].vectors.nbytes / (1 << 30)
    exact = exact_best(made, q_nets[: min(8, len(q_nets))])
    rows = []
    for method, search in (("exhaustive", _exhaustively), ("tangent", _by_tangents)):
        for count in dict.fromkeys((1, len(q_nets))):
            batch = q_nets[:count]
            found = search(field, batch)
            milliseconds = best(lambda: search(field, batch), made.device)  # noqa: B023
            compared = list(zip(found, exact, strict=False))
            same = [len({hit.docid for hit in a} & b) / K for a, b in compared]
            scored = statistics.mean(hits.cost.evaluations for hits in found)
            cells = [
                f"{milliseconds / count:.2f}",
                f"{scored:,.0f}",
                f"{statistics.mean(same):.3f}",
            ]
            rows.append([method, count, *cells])
    table(
        f"{made.num_vectors:,} vectors of {made.dimension} dimensions resident on {name} as"
        f" {format}, {size:.1f} GiB; q-nets of {len(q_nets.config.vector_sizes)} blocks, k = {K}",
        ["search", "queries at once", "ms a query", "scored", "overlap with fp32"],
        rows,
    )


def _exhaustively(field: MadeField, q_nets: QNet) -> list[Hits]:
    batch, scorer = _prepared(field, q_nets)
    return search_exhaustively(field.index, batch, K, scorer, ExhaustiveOptions(), None)


def _by_tangents(field: MadeField, q_nets: QNet) -> list[Hits]:
    batch, scorer = _prepared(field, q_nets)
    return search_by_tangents(field.index, batch, K, scorer, TangentOptions(), None)


def _prepared(field: MadeField, q_nets: QNet) -> tuple[QueryBatch, QNetScorer]:
    scorer = QNetScorer(q_nets, field=field)
    names = [str(number) for number in range(len(q_nets))]
    return QueryBatch(scorer.q_net, names, [None] * len(names)), scorer


def exact_best(made: Made, q_nets: QNet) -> list[set[str]]:
    """The best docids of each q-net by float32 over float32 vectors."""
    q_nets = q_nets.to(made.device)
    scores = torch.empty(len(q_nets), 0, device=made.device)
    rows = torch.empty(len(q_nets), 0, dtype=torch.long, device=made.device)
    start = 0
    for block in made.blocks():
        numbers = torch.arange(start, start + len(block), device=made.device)
        scores = torch.cat([scores, q_nets.score(block)], dim=1)
        rows = torch.cat([rows, numbers.expand(len(q_nets), -1)], dim=1)
        scores, at = scores.topk(min(K, scores.shape[1]), dim=1)
        rows = rows.gather(1, at)
        start += len(block)
    return [{str(row) for row in one} for one in rows.tolist()]


def show_encoding(name: str, device: torch.device) -> None:
    """The rate of a BERT-base over passages, against that of a large product."""
    torch.manual_seed(0)
    model = BertModel(BertConfig(), add_pooling_layer=False).to(device, torch.bfloat16).eval()
    ids = torch.randint(1000, 30_000, (PASSAGES, TOKENS), device=device)
    linear = sum(p.numel() for n, p in model.named_parameters() if "embeddings" not in n)
    attention = 12 * 2 * 2 * TOKENS * 768
    work = PASSAGES * TOKENS * (2 * linear + attention)

    @torch.inference_mode()
    def encode() -> None:
        for part in ids.split(256):
            model(input_ids=part)

    side = 8192 if device.type == "cuda" else 1024
    square = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    encoding = best(encode, device) / 1e3
    product = best(lambda: square @ square, device) / 1e3
    rates = work / encoding, 2 * side**3 / product
    table(
        f"encoding passages of {TOKENS} tokens by a BERT-base in bf16 on {name}",
        ["passages/s", "TFLOP/s", "of a product's"],
        [[f"{PASSAGES / encoding:,.0f}", f"{rates[0] / 1e12:.1f}", f"{rates[0] / rates[1]:.2f}"]],
    )


def best(work: Callable[[], object], device: torch.device) -> float:
    """The least milliseconds of several runs after one to warm up."""
    times = []
    for _ in range(ROUNDS + 1):
        before = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append((time.perf_counter() - before) * 1e3)
    return min(times[1:])


if __name__ == "__main__":
    main()
