"""Puts a checkpoint's tensors into a model, and says what does not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling.dual_encoder import DualEncoder

# Buffers that older transformers saved as weights.
_NO_WEIGHTS = ("position_ids", "token_type_ids", "inv_freq", "masked_bias")


def fill_model(model: DualEncoder, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy a checkpoint's tensors into a model.

    Where the model shares its encoder, one of the two copies is enough, and two must agree. A
    transformer's pooler may be missing: it takes no part in the vectors.

    Args:
        model: the model that its config.json describes.
        tensors: the checkpoint's tensors by name.
        source: what to call the checkpoint in messages.

    Raises:
        ModelError: a tensor is missing, unexpected, of another shape, not finite, or differs from
            the copy it should be; names it.
    """
    wanted = {name: t for name, t in model.state_dict().items() if not _is_no_weight(name)}
    tensors = {_modern_name(name): t for name, t in weights_alone(tensors).items()}
    tensors = unwrapped(tensors, wanted)
    for copy, original in model.get_expanded_tied_weights_keys().items():
        if copy in tensors and original in tensors:
            if not torch.equal(tensors[copy], tensors[original]):
                raise ModelError(
                    f"{source} has shared_encoder true, but {copy} differs from {original}: "
                    f"set it to false in config.json, or mend the weights."
                )
        elif copy in tensors:
            tensors[original] = tensors[copy]
        elif original in tensors:
            tensors[copy] = tensors[original]
    check_types(tensors, source)
    _share_within(tensors, wanted)
    missing = [name for name in wanted if name not in tensors and ".pooler." not in name]
    unexpected = [name for name in tensors if name not in wanted and ".pooler." not in name]
    if missing:
        raise ModelError(
            f"{source} lacks the weights {some(missing)}: the checkpoint is incomplete, or its "
            f"config.json belongs to another model."
        )
    if unexpected:
        raise ModelError(
            f"{source} has weights that the model does not know, {some(unexpected)}: "
            f"config.json belongs to another model."
        )
    for name, target in wanted.items():
        if name in tensors:
            _check(tensors[name], target, f"{source}: the weights {name}")
            target.copy_(tensors[name])
        else:
            target.zero_()


def weights_alone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without buffers that a model makes anew."""
    return {name: tensor for name, tensor in tensors.items() if not _is_no_weight(name)}


def check_types(tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are whole numbers.

    Raises:
        ModelError: names one.
    """
    for name, tensor in tensors.items():
        if name.endswith((".weight", ".bias")) and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ModelError(
                f"{source}: the weights {name} are of the type {kind}: quantised weights are not"
                " supported."
            )


def unwrapped(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Take off what a wrapper put before all names: `module.`, `_orig_mod.`, `model.`, ...

    Args:
        tensors: the checkpoint's tensors by name.
        wanted: the names that the model knows; as much is taken off as makes most of them agree.
    """
    known = set(wanted)
    best, names = dict(tensors), list(tensors)
    most = len(known.intersection(names))
    for depth in range(1, min(name.count(".") for name in names) + 1 if names else 0):
        if len({name.split(".")[depth - 1] for name in names}) > 1:
            break
        shorter = {name.split(".", depth)[depth]: t for name, t in tensors.items()}
        if (agreeing := len(known.intersection(shorter))) > most:
            best, most = shorter, agreeing
    return best


def _is_no_weight(name: str) -> bool:
    return name.split(".")[-1] in _NO_WEIGHTS


def _share_within(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Complete names that are one weight within a transformer, of which a file may hold one."""
    there = {wanted[name].data_ptr(): name for name in tensors if name in wanted}
    for name, target in wanted.items():
        if name not in tensors and target.numel() and target.data_ptr() in there:
            tensors[name] = tensors[there[target.data_ptr()]]


def _check(tensor: Tensor, target: Tensor, what: str) -> None:
    if tensor.shape != target.shape:
        raise ModelError(
            f"{what} have the shape {list(tensor.shape)}, but config.json asks for "
            f"{list(target.shape)}."
        )
    if not bool(tensor.sum(dtype=torch.float32).isfinite()):
        raise ModelError(f"{what} hold NaN or infinity.")


def _modern_name(name: str) -> str:
    """The present name of a layer norm's weights in checkpoints of BERT's first years."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
