"""q-nets of several depths in one: the first hidden blocks of a q-net and its output are one too.

The idea of the Matryoshka Hypencoder (arXiv 2607.17457), for depths: a model trained with the
losses of all sizes, summed, can be searched with any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypserini.errors import ModelError, named
from hypserini.modeling.q_net import QNet
from hypserini.modeling.q_net_config import QNetConfig


def shortened(q_net: QNet, blocks: int) -> QNet:
    """The q-nets of the first hidden blocks, as views; see `shortened_config`."""
    config = shortened_config(q_net.config, blocks)
    matrices = [*q_net.matrices[:blocks], q_net.matrices[-1]]
    own = [] if q_net.query_vectors is None else [q_net.query_vectors]
    return type(q_net)(config, matrices, q_net.vectors[:blocks], *own)


def shortened_config(config: QNetConfig, blocks: int) -> QNetConfig:
    """The config of a q-net's first hidden blocks and its output.

    Raises:
        ModelError: there are fewer blocks, or the output takes another width than they end in.
    """
    widths = config.vector_dimensions
    there = len(widths) - 2
    if not 0 <= blocks <= there:
        raise ModelError(f"the q-net has {there} hidden blocks and not {blocks}: ask for fewer.")
    if widths[blocks] != widths[-2]:
        raise ModelError(
            f"hidden block {blocks} of the q-net is {widths[blocks]} wide and its output takes "
            f"{widths[-2]}: nested sizes need blocks of one width."
        )
    return replace(config, vector_dimensions=(*widths[: blocks + 1], 1))


def check_size(blocks: int, config: QNetConfig, nested: Sequence[int], model: str) -> None:
    """Refuse a size that a model was not trained in.

    Raises:
        ModelError: names those there are.
    """
    sizes = sorted({*nested, len(config.vector_dimensions) - 2})
    if blocks not in sizes:
        raise ModelError(
            f"{model} has q-nets of {named(sizes)} hidden blocks and none of {blocks}: choose one "
            "of them, or train with query_encoder_kwargs.nested."
        )
