"""A device apart from the CPU, simulated in its memory: it refuses what a graphics card refuses.

A tensor there is none of the CPU's: an operation on tensors of several devices raises `Mixed`, and
so does what would read one as if it lay here. So what searches there would search on a card, too,
but for the card's own faults and rounding. There are two, `simulated:0` and `simulated:1`.

torch lets Python implement the operations of one further device ("PrivateUse1"); each is done by
the CPU's here. A process has it for good, and its other tests would see an accelerator; so it is
there only where HYPSERINI_TEST_DEVICE names it.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

NAME = "simulated"
DEVICES = 2
CPU = torch.device("cpu")

ACROSS = ("aten::copy_", "aten::_to_copy")
"""Operations that take tensors of several devices on a card as well: copies."""

INDEXING = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")
"""Those that take indexes from the CPU."""


class Mixed(RuntimeError):
    """An operation was given tensors of several devices."""


class There(Tensor):
    """A tensor on a simulated device; what it holds lies on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor, device: torch.device) -> There:
        """Say that a tensor of the CPU lies on a simulated device."""
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=device,
        )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"There({self.held}, {self.device})"

    def tolist(self) -> Any:
        """The numbers; torch itself takes them of no subclass."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _done(operation, args, kwargs or {})


def wanted(default: str) -> str:
    """The device that HYPSERINI_TEST_DEVICE names, else `default`."""
    return os.environ.get("HYPSERINI_TEST_DEVICE", default)


def install() -> None:
    """Let this process have the devices."""
    from torch.utils import backend_registration as registration

    class Hook(registration._DummyPrivateUse1Hook):
        def device_count(self) -> int:
            return DEVICES

    registration._setup_privateuseone_for_python_backend(NAME, _Module, Hook())
    # Whatever is asked of the device and has no such tensor among its arguments, such as `zeros`.
    _LIBRARY.append(torch.library.Library("_", "IMPL"))
    _LIBRARY[0].fallback(lambda op, *args, **kwargs: _done(op, args, kwargs), "PrivateUse1")
    # In which no view of a subclass can be taken.
    torch.inference_mode = lambda mode=True: torch.no_grad() if mode else nullcontext()
    for maker in ("tensor", "as_tensor"):  # they copy below where Python is asked
        setattr(torch, maker, _by_way_of_the_cpu(getattr(torch, maker)))


_LIBRARY: list[torch.library.Library] = []  # what is not held is unregistered


class _Module:
    """What `torch.get_device_module` gives."""

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def device_count() -> int:
        return DEVICES

    @staticmethod
    def current_device() -> int:
        return 0


def _by_way_of_the_cpu(make):
    def made(data, *args, device=None, **kwargs):
        if device is None or torch.device(device).type != NAME:
            return make(data, *args, device=device, **kwargs)
        return make(data, *args, **kwargs).to(device)

    return made


def _done(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation with what its tensors hold; what comes of it lies where they do."""
    name = operation.name().partition(".")[0]
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    places = {tensor.device for tensor in tensors if tensor.dim() or tensor.device != CPU}
    if name in INDEXING:  # of the indexes, each may be on the CPU
        whole = [one for one in (args[0], *args[2:]) if isinstance(one, Tensor) and one.dim()]
        indexes = {one.device for one in args[1] if one is not None}
        places = {one.device for one in whole} | (indexes - {CPU})
    if len(places) > 1 and name not in ACROSS:
        raise Mixed(f"{operation} of tensors on {' and '.join(sorted(map(str, places)))}")
    place = next((one.device for one in tensors if isinstance(one, There)), CPU)
    if kwargs.get("device") is not None:
        place = torch.device(kwargs["device"])
        kwargs = {**kwargs, "device": CPU}
        if place.type == NAME and place.index is None:
            place = torch.device(NAME, 0)
    given = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, There)}
    held_args, held_kwargs = tree_map(_held, (args, kwargs))
    found = operation(*held_args, **held_kwargs)
    if place.type != NAME:
        return found
    return tree_map(lambda one: given[id(one)] if id(one) in given else _there(one, place), found)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, There) else value


def _there(value: Any, place: torch.device) -> Any:
    return There(value, place) if isinstance(value, Tensor) else value


if wanted("").startswith(NAME):  # before what is imported later takes torch as it is
    install()
