"""How fast a device scores the documents of an index: measured once, and kept with the index."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable

import torch

from hypserini.index.beside import keep_beside
from hypserini.index.lucene_files import SPEED
from hypserini.index.reader import Index
from hypserini.search.scan import ROWS_ON_CPU, ROWS_ON_GPU, Scan
from hypserini.search.scorer import QNetScorer

logger = logging.getLogger(__name__)

TIMES = 2
"""The best of so many counts, after one that does not."""

_lock = threading.Lock()
_known: dict[tuple[str, str], float] = {}
"""Measured in this process, by index and what was measured."""


def milliseconds_a_document(index: Index, scorer: QNetScorer, threads: int) -> float:
    """What exhaustive search takes a document and query: reading its vector, and scoring it.

    The same for the same device, index, number format and shape of the q-nets, once it was
    measured; then it is read from the index's folder.

    Args:
        index: What is searched.
        scorer: Of some queries; the first is scored.
        threads: Of a CPU, that are counted on. What is measured with fewer is shared out.
    """
    what = _name(scorer, threads)
    with _lock:
        key = "|".join(str(folder.absolute()) for folder in index.folders), what
        if key not in _known:
            kept = _read(index)
            found = kept.get(what)
            if found is None:
                found = _measured(index, scorer, threads)
                failed = keep_beside(index, SPEED, {**kept, what: found})
                logger.debug("%s: %.6f ms a document (%s)", what, found, failed or "kept")
            _known[key] = found
        return _known[key]


def _name(scorer: QNetScorer, threads: int) -> str:
    """What a measurement is good for."""
    device = scorer.device
    name = f"cpu, {threads} threads"
    if device.type != "cpu":
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    shapes = [rows for rows, _ in scorer.q_net.config.matrix_shapes]
    field = scorer.field
    where = "read" if field is None else f"resident in {len(field.parts)} as {field.dtype}"
    return f"{name}, {scorer.q_net.dtype}, {where}, q-net {'-'.join(map(str, shapes))}"


def _read(index: Index) -> dict[str, float]:
    """What was measured before; whatever else the file holds is measured again."""
    if index.beside is None:
        return {}
    try:
        kept = json.loads((index.beside / SPEED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("%s is damaged (%s): it is made anew", index.path / SPEED, error)
        return {}
    if not isinstance(kept, dict):
        logger.warning("%s is damaged: it is made anew", index.path / SPEED)
        return {}
    return {
        name: float(value)
        for name, value in kept.items()
        if isinstance(value, int | float) and math.isfinite(value) and value > 0
    }


def _measured(index: Index, scorer: QNetScorer, threads: int) -> float:
    rows = ROWS_ON_CPU if scorer.device.type == "cpu" else ROWS_ON_GPU
    one = scorer.only(scorer.q_net[0])
    device = torch.device("cpu") if scorer.field is None else scorer.field.device
    some = torch.from_numpy(index.some_vectors)
    block = some[torch.arange(rows) % max(1, len(some))].to(device)
    out = torch.empty(1, rows, device=device)

    def score() -> None:
        one(block, out)
        out[0, 0].item()  # until the device has done it

    scoring = _best(score) / rows
    if scorer.device.type == "cpu":
        scoring *= torch.get_num_threads() / threads
    parts = 1 if scorer.field is None else len(scorer.field.parts)
    return (scoring / parts + (_reading(index, rows) if scorer.field is None else 0.0)) * 1e3


def _reading(index: Index, rows: int) -> float:
    """Seconds a vector that is read from the index."""
    rows = max(1, min(rows, index.num_vectors))
    seconds = []
    for _ in range(TIMES):
        with Scan(index, 1, 1, rows) as scan:
            before = time.perf_counter()
            scan.next()
            seconds.append(time.perf_counter() - before)
    return min(seconds) / rows


def _best(work: Callable[[], None]) -> float:
    """Seconds of the best of a few."""
    work()
    seconds = []
    for _ in range(TIMES):
        before = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - before)
    return min(seconds)
