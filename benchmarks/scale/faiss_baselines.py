"""Faiss beside it: dot products with the same vectors, by its graph and by its inverted lists.

Faiss knows no q-net. It is given the mean gradient of each, the best single vector that stands for
it, so that two numbers tell of it: how many of its own exact best it finds, and how many of those
of the q-net, which no search for a vector can find all.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.scale.data import ScaleData
from hypserini.index.reader import SOME

NEIGHBOURS = 32
EF_CONSTRUCTION = 100
PQ_BYTES_OF = 8  # components a byte
TRAINED_ON = 40  # vectors a list
WANTED = 0.99
EFS = (16, 32, 64, 128, 256, 512, 1024)
PROBES = (4, 16, 64, 256)
K = 10
ROUNDS = 3


def measure_faiss(
    cache: Path, data: ScaleData, size: int, best: list[list[str]]
) -> list[list[Any]]:
    """Rows of a table: kind, setting, own exact best found, q-net's best found, median ms.

    Args:
        cache: Where indexes are kept.
        data: Vectors and q-nets.
        size: So many vectors.
        best: The docids of each q-net's exact best, best first.
    """
    import faiss

    faiss.omp_set_num_threads(2)
    directions = _directions(data)
    own = _exact(data, size, directions)
    wanted = np.array([[int(docid) for docid in topic[:K]] for topic in best])
    rows = []
    for kind, name, settings in (
        (f"HNSW{NEIGHBOURS},Flat", "efSearch", EFS),
        (f"IVF{_lists(size)},PQ{directions.shape[1] // PQ_BYTES_OF}", "nprobe", PROBES),
    ):
        index = _index(cache, data, size, kind)
        for setting in settings:
            faiss.ParameterSpace().set_index_parameter(index, name, setting)
            found, milliseconds = _search(index, directions)
            share = _overlap(found, own)
            rows.append([kind, f"{name} {setting}", share, _overlap(found, wanted), milliseconds])
            if share >= WANTED:
                break
    return rows


def _lists(size: int) -> int:
    return 2 ** round(np.log2(4 * size**0.5))


def _directions(data: ScaleData) -> np.ndarray:
    """The mean gradient of each q-net, at as many documents as tangent search takes first."""
    some = torch.from_numpy(np.array(data.anchors[:: max(1, len(data.anchors) // SOME)][:SOME]))
    return np.stack([q_net.tangent(some)[1][0].float().numpy() for q_net in data.q_nets])


def _exact(data: ScaleData, size: int, directions: np.ndarray) -> np.ndarray:
    """The rows with the largest products with each direction."""
    scores = np.empty((len(directions), 0), np.float32)
    rows = np.empty((len(directions), 0), np.int64)
    row = 0
    for block in data.blocks(size):
        scores = np.concatenate([scores, directions @ block.T], axis=1)
        numbers = np.arange(row, row + len(block))
        rows = np.concatenate([rows, np.broadcast_to(numbers, (len(rows), len(block)))], axis=1)
        at = np.argpartition(-scores, K, axis=1)[:, :K]
        scores, rows = np.take_along_axis(scores, at, 1), np.take_along_axis(rows, at, 1)
        row += len(block)
    return rows


def _index(cache: Path, data: ScaleData, size: int, kind: str) -> Any:
    import faiss

    file = cache / f"faiss-{size}-{kind.replace(',', '-')}.index"
    if file.exists():
        return faiss.read_index(str(file))
    dim = data.anchors.shape[1]
    index: Any = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    if kind.startswith("HNSW"):
        index.hnsw.efConstruction = EF_CONSTRUCTION
    else:
        index.train(_some(data, size, TRAINED_ON * _lists(size)))
    with tqdm(total=size, desc=f"Faiss {kind}", unit=" docs") as bar:
        for block in data.blocks(size):
            index.add(np.ascontiguousarray(block))
            bar.update(len(block))
    faiss.write_index(index, str(file))
    return index


def _some(data: ScaleData, size: int, count: int) -> np.ndarray:
    step = max(1, size // count)
    return np.concatenate([block[::step] for block in data.blocks(size)])


def _search(index: Any, directions: np.ndarray) -> tuple[np.ndarray, float]:
    times = []
    for _ in range(ROUNDS):
        found: list[np.ndarray] = []
        for direction in directions:
            before = time.perf_counter()
            found.append(index.search(direction[None], K)[1][0])
            times.append((time.perf_counter() - before) * 1e3)
    return np.stack(found), float(np.median(times))


def _overlap(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, wanted, strict=True)]))
