"""Copies blocks of vectors to a device while the next ones are being read."""

from __future__ import annotations

import torch
from torch import Tensor

BUFFERS = 2


class Staging:
    """Pinned memory on the way to a GPU, of which one half is filled while the other is copied.

    To a device that has no such way, blocks are copied at once.

    Args:
        rows: Of a block, at most.
        dim: Components of a vector.
        device: Where they go.
    """

    def __init__(self, rows: int, dim: int, device: torch.device) -> None:
        self._turn = 0
        self._buffers: list[Tensor] = []
        self._copied: list[torch.cuda.Event] = []
        if device.type == "cuda":
            self._buffers = [torch.empty(rows, dim, pin_memory=True) for _ in range(BUFFERS)]
            self._copied = [torch.cuda.Event() for _ in range(BUFFERS)]
            self._device = device

    def copy(self, block: Tensor, target: Tensor) -> None:
        """Copy a block `[n, dim]`, which may change afterwards, to a place on the device."""
        if not self._buffers:
            target.copy_(block)
            return
        buffer, copied = self._buffers[self._turn], self._copied[self._turn]
        copied.synchronize()  # returns at once where nothing was copied from it yet
        held = buffer[: len(block)]
        held.copy_(block)
        with torch.cuda.device(self._device):
            target.copy_(held.to(self._device, non_blocking=True))
            copied.record()
        self._turn = (self._turn + 1) % BUFFERS

    def wait(self) -> None:
        """Return when all is copied."""
        for copied in self._copied:
            copied.synchronize()
