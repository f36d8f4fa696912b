"""The query side of a searcher: texts and q-nets become batches to search an index with."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from hypserini.encode import QueryEncoder
from hypserini.errors import IndexingError
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index
from hypserini.modeling import QNet
from hypserini.modeling.devices import choose_device
from hypserini.modeling.nested import check_size
from hypserini.search.index_encoder import check_model, load_encoder, made_with
from hypserini.search.scorer import QueryBatch
from hypserini.settings import AS_THE_FOLDER_SAYS, EncodingSettings

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder


class QuerySide:
    """Encodes the queries of an index; its model is loaded when the first text is to be encoded.

    Args:
        index: The index.
        metadata: What it knows of itself.
        model: A model's name or folder, or a loaded one; None: the index's.
        settings: How a model that is to be loaded encodes queries; None: as the documents were.
        device: As `LuceneHypencoderSearcher` takes it, like those that follow.
        dtype: Of the encoder.
        max_length: Tokens encoded of a query; None: the model's.
        blocks: Hidden blocks of the q-nets, of a model of nested sizes; None: all.
        smaller: Hidden blocks of a cascade's q-nets, which the model must have; None: none.

    Raises:
        ValueError: Settings were given with a loaded model.
        IndexingError: The loaded model is not the index's.
    """

    def __init__(
        self,
        index: Index,
        metadata: IndexMetadata | None,
        model: str | DualEncoder | None,
        settings: EncodingSettings | None,
        *,
        device: str,
        dtype: str,
        max_length: int | None,
        blocks: int | None,
        smaller: int | None,
    ) -> None:
        if model is not None and not isinstance(model, str):
            if settings is not None:
                raise ValueError("settings are of a model that is to be loaded; this one is")
            check_model(model, index, metadata)
        self._index = index
        self._metadata = metadata
        self._model = model
        self._settings = settings or AS_THE_FOLDER_SAYS
        self._device = device
        self._dtype = dtype
        self._max_length = max_length
        self._blocks = blocks
        self._smaller = smaller
        self._encoder: QueryEncoder | None = None
        self._loading = threading.Lock()

    @property
    def encoder(self) -> QueryEncoder:
        """The query encoder; loads the model on first use.

        Raises:
            ModelError: The model cannot be loaded, or lacks a size.
        """
        if self._encoder is None:
            with self._loading:  # others may search meanwhile
                if self._encoder is None:
                    self._encoder = self._load()
        return self._encoder

    def batch(self, queries: Sequence[str | QNet], qids: Sequence[str]) -> tuple[QueryBatch, float]:
        """A batch that may mix texts and q-nets, encoded and checked; milliseconds of encoding.

        Raises:
            IndexingError: The q-nets are for vectors of another width.
            ModelError: A q-net holds NaN or infinity.
        """
        started = time.perf_counter()
        q_net = self._q_nets(queries)
        encoded = any(isinstance(query, str) for query in queries)
        encode_ms = (time.perf_counter() - started) * 1e3 if encoded else 0.0
        if q_net.dim != self._index.dimension:
            raise IndexingError(
                f"the q-nets take vectors of {q_net.dim} dimensions and the index "
                f"{self._index.path} holds vectors of {self._index.dimension}: search with the"
                f" model that the index was encoded with{made_with(self._metadata)}."
            )
        q_net.check_finite(qids)
        texts = [query if isinstance(query, str) else None for query in queries]
        return QueryBatch(q_net, qids, texts), encode_ms

    def device_for(self, q_net: QNet) -> torch.device:
        """The device asked for; unless one is, where the q-nets already are.

        Of a model that the caller loaded, where it encodes. One that is loaded here, on the first
        of several GPUs, does not say it: the documents lie on all.
        """
        is_given = self._model is not None and not isinstance(self._model, str)
        if is_given and self._encoder is not None:
            return self._encoder.model.device
        if self._encoder is None and self._device == "auto" and q_net.device.type != "cpu":
            return q_net.device
        return choose_device(self._device)

    def _q_nets(self, queries: Sequence[str | QNet]) -> QNet:
        if all(isinstance(query, str) for query in queries):
            return self.encoder.encode([str(query) for query in queries])
        parts = [self.encoder.encode([q]) if isinstance(q, str) else q for q in queries]
        encoded = [part for part, q in zip(parts, queries, strict=True) if isinstance(q, str)]
        first = (encoded or parts)[0]  # the others follow where it is
        return QNet.cat([part.to(first.device) for part in parts])

    def _load(self) -> QueryEncoder:
        if self._model is None or isinstance(self._model, str):
            encoder = load_encoder(
                self._index,
                self._metadata,
                self._model,
                self._settings,
                device=self._device,
                dtype=self._dtype,
                max_length=self._max_length,
                blocks=self._blocks,
            )
        else:
            encoder = QueryEncoder(self._model, max_length=self._max_length, blocks=self._blocks)
        if self._smaller is not None:
            model = encoder.model
            check_size(self._smaller, model.q_net_config, model.nested, model.name)
        return encoder
