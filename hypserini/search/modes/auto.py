"""Chooses the mode: exhaustive where that answers at once on this device, tangent otherwise."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import torch

from hypserini.index.reader import Index
from hypserini.search.filters import Filter, count_searched
from hypserini.search.modes.exhaustive import (
    ROWS_ON_CPU,
    ExhaustiveOptions,
    search_exhaustively,
)
from hypserini.search.modes.speed import milliseconds_a_document
from hypserini.search.modes.tangent import TangentOptions, search_by_tangents
from hypserini.search.ranking import Hits
from hypserini.search.scorer import QNetScorer, QueryBatch

logger = logging.getLogger(__name__)

QUICK_MS = 100.0
"""An exhaustive search that takes a query less than this is not worth approximating."""


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """What the chosen mode is searched with.

    Attributes:
        tangent: Options of tangent search, if that is chosen.
        quick_ms: Milliseconds a query that exhaustive search may take.
        threads: Threads of a CPU that are counted on, so many as torch uses where the options are
            made: batches that are searched side by side with fewer each choose alike.
    """

    tangent: TangentOptions = field(default_factory=TangentOptions)
    quick_ms: float = QUICK_MS
    threads: int = field(default_factory=torch.get_num_threads)


def choose_mode(
    index: Index, scorer: QNetScorer, options: AutoOptions, filter: Filter | None = None
) -> str:
    """`exhaustive` or `tangent`, by what this device was measured to take a document.

    That is kept with the index, so that the same search is the same every time.
    """
    documents = count_searched(index, filter)
    if (options.tangent.max_scored or documents) < documents:
        return "tangent"
    few = documents <= ROWS_ON_CPU  # to measure is to score as many
    rate = 0.0 if few else milliseconds_a_document(index, scorer, options.threads)
    milliseconds = documents * rate
    mode = "exhaustive" if milliseconds <= options.quick_ms and options.quick_ms else "tangent"
    logger.debug(
        "%s search: scoring all %s documents takes about %.0f ms a query on %s",
        *(mode, f"{documents:,}", milliseconds, scorer.device),
    )
    return mode


def search_automatically(
    index: Index,
    batch: QueryBatch,
    k: int,
    scorer: QNetScorer,
    options: AutoOptions,
    filter: Filter | None = None,
) -> list[Hits]:
    """Search in the mode that `choose_mode` chooses; each hit list's cost tells which it was."""
    mode = choose_mode(index, scorer, options, filter)
    if mode == "tangent":
        return search_by_tangents(index, batch, k, scorer, options.tangent, filter)
    return search_exhaustively(index, batch, k, scorer, ExhaustiveOptions(), filter)
