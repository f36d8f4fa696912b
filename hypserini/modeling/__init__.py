"""The models: q-nets, the hypernetwork, the dual encoders, and how checkpoints are read.

A q-net needs torch alone. What encodes texts needs transformers, which takes longer to import than
many a search: its public names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hypserini.modeling.q_net import QNet, q_net_class, q_net_config, register_q_net
from hypserini.modeling.q_net_config import QNetConfig

if TYPE_CHECKING:
    from hypserini.modeling.bi_encoder import BiEncoder
    from hypserini.modeling.configuration import HypencoderConfig
    from hypserini.modeling.dual_encoder import DualEncoder, HypencoderDualEncoder
    from hypserini.modeling.loading import load_model

_HOME_OF = {
    "BiEncoder": "bi_encoder",
    "DualEncoder": "dual_encoder",
    "HypencoderConfig": "configuration",
    "HypencoderDualEncoder": "dual_encoder",
    "load_model": "loading",
}

__all__ = [
    "BiEncoder",
    "DualEncoder",
    "HypencoderConfig",
    "HypencoderDualEncoder",
    "QNet",
    "QNetConfig",
    "load_model",
    "q_net_class",
    "q_net_config",
    "register_q_net",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hypserini.modeling' has no attribute '{name}'")
    return getattr(import_module(f"hypserini.modeling.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
