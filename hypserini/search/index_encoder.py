"""The query encoder that belongs to an index: its model, loaded as the documents were encoded."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from hypserini.encode import QueryEncoder
from hypserini.errors import IndexingError, MissingModelError
from hypserini.index.metadata import IndexMetadata, find_model
from hypserini.index.reader import Index
from hypserini.modeling.pooling import check_pooling
from hypserini.settings import EncodingSettings

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

logger = logging.getLogger(__name__)


def load_encoder(
    index: Index,
    metadata: IndexMetadata | None,
    model: str | None,
    settings: EncodingSettings,
    *,
    device: str,
    dtype: str,
    max_length: int | None,
    blocks: int | None = None,
) -> QueryEncoder:
    """Load the model for the queries of an index.

    Args:
        index: The index.
        metadata: What it knows of itself.
        model: The model; None: the one that the documents were encoded with.
        settings: How queries are encoded, where that is not as the documents were.
        device: As `load_model` takes it.
        dtype: As `load_model` takes it.
        max_length: Tokens encoded of a query; None: the model's.
        blocks: Hidden blocks of the q-nets, of a model of nested sizes; None: all.

    Raises:
        MissingModelError: The index does not say its model, or that is no longer there.
        IndexingError: The model, or a setting, is another than the documents'.
        ModelError: The model cannot be loaded.
    """
    # Queries that are encoded already need none of what this imports.
    from hypserini.modeling.loading import is_dual_encoder, load_model

    name = model or model_of(index, metadata)
    try:
        if metadata is not None:
            _check_settings(settings, metadata, index)
            # Another model than the index's may say itself how it was trained to encode.
            if model is None or _is_the_same(model, metadata) or not is_dual_encoder(model):
                settings = settings.over(metadata.settings)
        loaded = load_model(name, device=device, dtype=dtype, settings=settings)
    except MissingModelError as error:
        if model is not None:
            raise
        hub = "" if os.path.isabs(name) else ", or connect to the internet if it is on the hub"
        raise MissingModelError(
            f"the index {index.path} was encoded by {name}, which is not there: name it with"
            f" --model{hub}."
        ) from error
    check_model(loaded, index, metadata)
    return QueryEncoder(loaded, max_length=max_length, blocks=blocks)


def check_model(model: DualEncoder, index: Index, metadata: IndexMetadata | None) -> None:
    """Refuse a model whose documents would not have the vectors of an index.

    Raises:
        IndexingError: Says what differs.
    """
    if model.dim != index.dimension:
        raise IndexingError(
            f"the model {model.name} makes vectors of {model.dim} dimensions and the index "
            f"{index.path} holds vectors of {index.dimension}: "
            f"search with the model that the index was encoded with{made_with(metadata)}."
        )
    if getattr(model.config, "encodes", "") == "queries":
        return  # the documents are another model's, such as DPR's context encoder
    if metadata is None:
        return
    if model.config.document_prefix != metadata.document_prefix:
        raise IndexingError(
            f"the index {index.path} was encoded with {metadata.document_prefix!r} before every"
            f" document, and {model.name} puts {model.config.document_prefix!r} there: load it with"
            " the settings of the index, or index again with --overwrite."
        )
    _compare_prefixes(model.config.query_prefix, metadata, index)
    if metadata.fingerprint == model.fingerprint:
        return
    if model.name in (metadata.model, os.path.abspath(metadata.model)):
        raise IndexingError(
            f"the index {index.path} was encoded by other weights of {model.name} "
            f"than those of today: index again with --overwrite, or search with the old."
        )
    raise IndexingError(
        f"the index {index.path} was encoded by {metadata.model} and not by "
        f"{model.name}: search with {metadata.model}, or index with {model.name}."
    )


def check_q_nets(
    saved: Mapping[str, str], folder: str, index: Index, metadata: IndexMetadata | None
) -> None:
    """Refuse saved q-nets that were made for other documents than an index's.

    Raises:
        IndexingError: Names both models.
    """
    if metadata is None:
        return
    fingerprint = saved.get("fingerprint", metadata.fingerprint)
    if fingerprint != metadata.fingerprint and saved.get("encodes") != "queries":
        raise IndexingError(
            f"the q-nets in {folder} were made by {saved.get('model')} and "
            f"the index {index.path} by {metadata.model}: "
            "encode the topics with the model of the index."
        )
    _compare_prefixes(saved.get("query_prefix"), metadata, index)


def made_with(metadata: IndexMetadata | None) -> str:
    """The model of an index for the end of a message, if it is known."""
    return f", {metadata.model}" if metadata else ""


def _check_settings(settings: EncodingSettings, metadata: IndexMetadata, index: Index) -> None:
    """Compare what the user asks for with how the documents were encoded."""
    pooling = check_pooling(settings.pooling) if settings.pooling is not None else None
    norms = {True: "--l2-norm", False: "--no-l2-norm"}
    for asked, known in (
        (pooling and f"--pooling {pooling}", f"--pooling {metadata.pooling}"),
        (norms.get(cast(bool, settings.l2_norm)), norms.get(cast(bool, metadata.l2_norm))),
    ):
        if asked and known and asked != known:
            raise IndexingError(
                f"the index {index.path} was encoded with {known} and not {asked}: leave that out,"
                " or index again with it."
            )


def _is_the_same(model: str, metadata: IndexMetadata) -> bool:
    return os.path.abspath(os.path.expanduser(model)) == os.path.abspath(metadata.model)


def _compare_prefixes(prefix: str | None, metadata: IndexMetadata, index: Index) -> None:
    if prefix not in (None, metadata.query_prefix):
        logger.warning(
            "%r is put before queries, and the index %s was made for %r before them",
            prefix,
            index.path,
            metadata.query_prefix,
        )


def model_of(index: Index, metadata: IndexMetadata | None) -> str:
    """The model that an index names, where it lies now; see `find_model`.

    Raises:
        MissingModelError: The index names none.
    """
    if metadata is None:
        raise MissingModelError(
            f"the index {index.path} does not say which model it was encoded with: "
            "name the model (--model)."
        )
    return find_model(metadata, index.folders[0])
