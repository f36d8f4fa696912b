"""q-nets of any kind, for what needs no model."""

from __future__ import annotations

import torch

from hypserini.modeling import QNet, QNetConfig


def random_q_nets(config: QNetConfig, queries: int, seed: int = 5) -> QNet:
    """Random q-nets, whose scores are of the size of 1."""
    generator = torch.Generator().manual_seed(seed)
    shapes = config.part_shapes
    parts = [torch.randn(queries, *s, generator=generator) * s[0] ** -0.5 for s in shapes]
    return QNet.of_parts(config, parts)
