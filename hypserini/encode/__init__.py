"""Texts to vectors and to q-nets, in batches."""

from hypserini.encode.encoders import DocumentEncoder, QueryEncoder

__all__ = ["DocumentEncoder", "QueryEncoder"]
