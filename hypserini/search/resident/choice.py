"""Whether the dense field is kept on the device, and what is said of that."""

from __future__ import annotations

import logging

import torch

from hypserini.index.reader import Index
from hypserini.index.resources import all_memory
from hypserini.modeling.devices import DTYPES, devices_like
from hypserini.search.resident.field import ResidentField
from hypserini.search.resident.residence import FORMATS, Residence

logger = logging.getLogger(__name__)

GPUS = ("cuda", "mps")

SHARE = 0.8
"""Of a device's free memory, what the field may take; the rest is for scores and q-nets."""


def make_resident(
    index: Index, device: torch.device, residence: Residence, *, progress: bool = False
) -> ResidentField | None:
    """The field of an index on a device, or None where it is read from the index block by block.

    Several GPUs share the rows, where none is named by its number.
    """
    is_gpu = device.type in GPUS
    if residence.wanted is False or (residence.wanted is None and not is_gpu):
        return None
    devices = devices_like(device)
    kind = FORMATS[residence.format or ("bf16" if is_gpu else "fp32")]
    dtype = DTYPES[kind]
    size = index.num_vectors * index.dimension * dtype.itemsize
    room = residence.memory
    if room is None:
        room = int(SHARE * len(devices) * min(free_memory(one) for one in devices))
    names = ", ".join(map(str, devices))
    if size > room or not index.num_vectors:
        logger.info(
            "the dense field is read from the index block by block: it takes %s in %s, and %s has"
            " room for %s",
            *(_gib(size), kind, names, _gib(room)),
        )
        return None
    logger.info("the dense field is kept on %s: %s in %s", names, _gib(size), kind)
    return ResidentField(index, devices, dtype, progress=progress)


def free_memory(device: torch.device) -> int:
    """Bytes that a device has free; of the machine's own memory, half of all."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return all_memory() // 2


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f} GiB"
