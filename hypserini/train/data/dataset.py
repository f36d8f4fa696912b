"""The data set that the Trainer sees: examples of any source, with what is drawn from each."""

from __future__ import annotations

import random
from typing import Protocol, runtime_checkable

import torch
from torch.utils.data import Dataset

from hypserini.train.data.examples import Example
from hypserini.train.data.selection import Selection


class Source(Protocol):
    """Where examples come from; checked when it is made, cheap to fork and to pickle."""

    def __len__(self) -> int: ...

    def read(self, position: int, rng: random.Random) -> Example:
        """The example at `position` with all its items; `rng` for what is drawn from elsewhere."""


@runtime_checkable
class NamesDocuments(Protocol):
    """A source whose examples name documents by id."""

    def docids(self) -> set[str]:
        """All that they name."""


class TrainingData(Dataset):
    """The examples of a source, each with its drawn positives and negatives.

    Args:
        source: all of them.
        selection: what is drawn.
        seed: of the drawing; with the epoch and the position it decides alone.
        redraw: draw anew in each epoch; for validation the same is drawn again and again.
    """

    def __init__(
        self, source: Source, selection: Selection, *, seed: int = 0, redraw: bool = True
    ) -> None:
        self.source = source
        self.selection = selection
        self.seed = seed
        self.redraw = redraw
        # Shared with worker processes that live on from epoch to epoch.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int) -> Example:
        """The example at `position` with its positives first and its negatives after them."""
        if not 0 <= position < len(self):
            raise IndexError(position)
        rng = random.Random(f"{self.seed} {self.epoch} {position}")
        return self.selection.draw(self.source.read(position, rng), rng)

    def docids(self) -> set[str]:
        """All documents that the examples name by id."""
        return self.source.docids() if isinstance(self.source, NamesDocuments) else set()

    @property
    def epoch(self) -> int:
        """The epoch that is drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew, in this process and its workers; called at the start of each epoch."""
        if self.redraw:
            self._epoch[0] = epoch
