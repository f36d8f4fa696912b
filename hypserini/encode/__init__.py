"""Texts to vectors and to q-nets, in batches; q-nets in files."""

from hypserini.encode.encoders import DocumentEncoder, QueryEncoder
from hypserini.encode.saved import SavedQNets, save_q_nets

__all__ = ["DocumentEncoder", "QueryEncoder", "SavedQNets", "save_q_nets"]
