"""The models: q-nets, the hypernetwork, the dual encoders, and how checkpoints are read."""

from hypserini.modeling.bi_encoder import BiEncoder
from hypserini.modeling.configuration import HypencoderConfig
from hypserini.modeling.dual_encoder import DualEncoder, HypencoderDualEncoder
from hypserini.modeling.loading import load_model
from hypserini.modeling.q_net import QNet, q_net_class, q_net_config, register_q_net
from hypserini.modeling.q_net_config import QNetConfig

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
