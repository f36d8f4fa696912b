"""The exact best documents at every size, in one pass over the vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import torch
from tqdm import tqdm

from benchmarks.scale.data import ScaleData
from hypserini.search.ranking import Hit, Hits

KEPT = 100


def exact_hits(data: ScaleData, sizes: Sequence[int], topics: int) -> list[list[Hits]]:
    """The best 100 of each topic at each size, `[size][topic]`; kept with the data."""
    kind = "isotropic-" if data.isotropic else ""
    file = data.folder / f"exact-{kind}{topics}-{'-'.join(map(str, sizes))}.json"
    if not file.exists():
        file.write_text(json.dumps(_search(data, sorted(sizes), topics)))
    return [
        [Hits(Hit(str(row), score) for row, score in topic) for topic in size]
        for size in json.loads(file.read_text())
    ]


def _search(
    data: ScaleData, sizes: Sequence[int], topics: int
) -> list[list[list[tuple[int, float]]]]:
    best = [(torch.empty(0), torch.empty(0, dtype=torch.long)) for _ in range(topics)]
    found = []
    row = 0
    with tqdm(total=sizes[-1], desc="exact", unit=" docs") as bar:
        for block in data.blocks(sizes[-1]):
            for part in _split(torch.from_numpy(block), row, sizes):
                numbers = torch.arange(row, row + len(part))
                for topic in range(topics):
                    scores, rows = best[topic]
                    scores = torch.cat([scores, data.q_nets[topic].score(part)[0]])
                    rows = torch.cat([rows, numbers])
                    kept = scores.topk(min(KEPT, len(scores)))
                    best[topic] = kept.values, rows[kept.indices]
                row += len(part)
                if row in sizes:
                    found.append([list(zip(r.tolist(), s.tolist(), strict=True)) for s, r in best])
            bar.update(len(block))
    return found


def _split(block: torch.Tensor, row: int, sizes: Sequence[int]) -> list[torch.Tensor]:
    """A block, cut where a size ends."""
    ends = [size - row for size in sizes if row < size < row + len(block)]
    cuts = [0, *ends, len(block)]
    return [block[a:b] for a, b in pairwise(cuts)]
