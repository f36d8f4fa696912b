"""The devices that compute, and the number formats that they compute in."""

from __future__ import annotations

from functools import cache

import torch

from hypserini.errors import ModelError

AUTO = "auto"
"""A device or a number format that is to be chosen."""
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def choose_device(device: str | torch.device) -> torch.device:
    """Turn what the user asked for into a device that is there.

    Raises:
        ModelError: the name means nothing to torch, or the device is not there.
    """
    if str(device) == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device("mps" if torch.backends.mps.is_available() else name)
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"the device {device} cannot be used here: try --device cpu.") from error
    return chosen


def device_name(device: torch.device) -> str:
    """What a device is, such as `cuda:0 (NVIDIA H100 80GB HBM3)`."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def choose_devices(devices: str) -> list[torch.device]:
    """The devices that share the encoding of documents, such as `cuda:0,cuda:1`.

    Args:
        devices: Names with commas between them; of `auto` and `cuda`, all GPUs.

    Raises:
        ModelError: as `choose_device`.
    """
    chosen = [choose_device(name.strip()) for name in devices.split(",")]
    return devices_like(chosen[0]) if len(chosen) == 1 else chosen


def devices_like(device: torch.device) -> list[torch.device]:
    """The device, or all GPUs where `cuda` alone is said."""
    if device.type == "cuda" and device.index is None:
        return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    return [device]


def choose_dtype(
    dtype: str | torch.dtype, device: torch.device, kept: torch.dtype | None = None
) -> torch.dtype:
    """The number format to multiply in.

    Args:
        dtype: A name or format, which is taken; or `auto`.
        device: Where it is multiplied.
        kept: What is multiplied there is kept as, which `auto` then takes if the device does so
            fast. Without it, `auto` is bfloat16 on a GPU that has it. Else it is float32.
    """
    if dtype != AUTO:
        return DTYPES[dtype] if isinstance(dtype, str) else dtype
    if kept is None:
        kept = torch.bfloat16 if device.type == "cuda" else torch.float32
    return kept if multiplies_fast(kept, device) else torch.float32


def multiplies_fast(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a device multiplies a number format by instructions of its own.

    One that has none takes many times as long as for float32.
    """
    if dtype not in (torch.bfloat16, torch.float16):
        return True
    is_short = dtype is torch.bfloat16
    if device.type == "cuda":
        return not is_short or torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        there = torch.ops.mkldnn  # torch has no public names for them
        return bool(
            there._is_mkldnn_bf16_supported() if is_short else there._is_mkldnn_fp16_supported()
        )
    return True


@cache
def adds_up_wide(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of narrow numbers there can come out in float32: on most GPUs."""
    if dtype is torch.float32:
        return False
    one = torch.ones(16, 16, dtype=dtype, device=device)
    try:
        found = torch.mm(one, one, out_dtype=torch.float32)
        of_batches = torch.bmm(one[None], one[None], out_dtype=torch.float32)
        return bool((found == 16).all() and (of_batches == 16).all())
    except (TypeError, RuntimeError):  # of an older torch, or no such product there
        return False
