"""Encodes texts in batches: documents into vectors, queries into q-nets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hypserini.errors import ModelError
from hypserini.modeling import QNet
from hypserini.modeling.fitting import Fitting
from hypserini.modeling.nested import check_size
from hypserini.modeling.packed_linear import pack_linears
from hypserini.modeling.recorded import RecordedEncoder
from hypserini.modeling.tokenizing import Tokens, pad, padding_id, tokenize
from hypserini.modeling.workers import check_threads

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

logger = logging.getLogger(__name__)

BATCHES_IN_A_CHUNK = 32
"""Batches that are sorted by length together, and whose vectors wait on a device to be copied: the
more, the less padding and waiting, the more memory."""


class _TextEncoder:
    """What encoding documents and queries has in common: texts become batches of token ids."""

    texts: str
    """What is encoded: `queries` or `documents`."""

    def __init__(self, model: DualEncoder, prefix: str, max_length: int, batch_size: int) -> None:
        self.model = model
        self.prefix = prefix
        self.max_length = min(max_length, model.max_positions)
        self.batch_size = batch_size
        self.truncated = 0
        self._vocabulary = model.vocabulary_size
        self.padding = padding_id(model.tokenizer, self._vocabulary)
        self._counting = threading.Lock()
        self._fitting = Fitting(self.texts)
        [nothing] = self.tokenize([""], 10**6).rows
        if len(nothing) >= self.max_length:
            raise ModelError(
                f"{self.max_length} tokens leave no room for a text, since {len(nothing)} stand"
                f" around each one of {model.name}: give a larger --max-length."
            )
        pack_linears(model)
        encodes = getattr(model.config, "encodes", "") or self.texts
        if encodes != self.texts:
            logger.warning(
                "%s was trained to encode %s, not %s: they have an encoder of their own, which"
                " --model names",
                model.name,
                encodes,
                self.texts,
            )

    def tokenize(self, texts: Sequence[str], max_length: int | None = None) -> Tokens:
        """Token ids of every text, cut to `max_length`, by default the encoder's."""
        return tokenize(
            self.model.tokenizer,
            texts,
            max_length or self.max_length,
            prefix=self.prefix,
            vocabulary=self._vocabulary,
        )

    def _count(self, tokens: Tokens) -> list[list[int]]:
        """The rows of what is encoded now, whose texts that were cut are counted."""
        with self._counting:  # batches of queries are encoded side by side
            self.truncated += tokens.cut
        return tokens.rows

    def _pad(self, rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask `[n, length]`, on a device."""
        ids, mask = pad(rows, self.padding)
        # Not everywhere is what is still being copied kept until then.
        at_once = device.type == "cuda"
        return ids.to(device, non_blocking=at_once), mask.to(device, non_blocking=at_once)


class DocumentEncoder(_TextEncoder):
    """Encodes documents; `truncated` counts those that were longer than `max_length` so far.

    Args:
        model: The model, on the device and in the number format it is to compute in; its
            `document_prefix` is put before every text.
        max_length: Tokens encoded of a document, special ones included; by default the model's, and
            at most what its transformer can read.
        batch_size: Documents encoded at once, on each device.
        others: Further devices, which get a copy of the model each and share the work.

    Raises:
        ModelError: `max_length` leaves no room for a text, or the model encodes none.
    """

    texts = "documents"

    def __init__(
        self,
        model: DualEncoder,
        *,
        max_length: int | None = None,
        batch_size: int = 64,
        others: Sequence[torch.device] = (),
    ) -> None:
        if isinstance(model.passage_encoder, RecordedEncoder):
            made_by = model.passage_encoder.name
            raise ModelError(
                f"{model.name} has no document encoder, for it was trained over the vectors of "
                f"{made_by}: encode documents with {made_by}, and search them with this one."
            )
        length = max_length or model.document_max_length
        copies = [deepcopy(model).cast(device, model.dtype).eval() for device in others]
        super().__init__(model, model.config.document_prefix, length, batch_size)
        for copied in copies:
            pack_linears(copied)
        others_fitting = [(copied, Fitting(self.texts)) for copied in copies]
        self._workers = [(model, self._fitting), *others_fitting]
        if others:
            names = ", ".join(str(one.device) for one, _ in self._workers)
            logger.info("documents are encoded on %s", names)

    def encode(
        self, texts: Sequence[str] | Tokens, encoded: Callable[[int], object] | None = None
    ) -> np.ndarray:
        """Encode texts into `[n, dim] float32`, in their order.

        Give many batches' worth of texts at once: they are encoded in the order of their lengths,
        so that little is padded, several devices have something to share, and a device computes
        without waiting for what was computed to be copied.

        Args:
            texts: The texts, or what `tokenize` made of them.
            encoded: Called after each batch with the number of its texts.

        Raises:
            ModelError: A vector has a component that is not finite; its `position` tells which.
            ForkError: See `check_threads`.
        """
        check_threads()
        rows = self._count(texts if isinstance(texts, Tokens) else self.tokenize(texts))
        vectors = np.empty((len(rows), self.model.dim), dtype=np.float32)
        # The longest first: if they do not fit into memory, that shows at once.
        by_length = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
        size = self.batch_size
        batches = iter([by_length[at : at + size] for at in range(0, len(rows), size)])
        taking = threading.Lock()

        def work(model: DualEncoder, fitting: Fitting) -> None:
            done: list[tuple[Sequence[int], Tensor]] = []

            def copy() -> None:
                for part, found in done:
                    vectors[part] = found.cpu().numpy()
                done.clear()

            while True:
                with taking:
                    batch = next(batches, None)
                if batch is None:
                    break
                fitting.run(partial(self._encode, model, rows, batch, done), len(batch))
                if encoded is not None:
                    with taking:
                        encoded(len(batch))
                if len(done) >= BATCHES_IN_A_CHUNK:  # rarely: to copy is to wait for the device
                    copy()
            copy()

        if len(self._workers) == 1:
            work(*self._workers[0])
        else:
            with ThreadPoolExecutor(len(self._workers)) as pool:
                for done in [pool.submit(work, *one) for one in self._workers]:
                    done.result()
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if bad.size:
            error = ModelError(
                f"the model {self.model.name} encodes a text to a vector that is not finite: "
                "check its weights, or encode with --dtype float32."
            )
            error.position = int(bad[0])  # type: ignore[attr-defined]
            raise error
        return vectors

    @torch.inference_mode()
    def _encode(
        self,
        model: DualEncoder,
        rows: Sequence[Sequence[int]],
        batch: Sequence[int],
        done: list[tuple[Sequence[int], Tensor]],
        start: int,
        end: int,
    ) -> None:
        part = batch[start:end]
        inputs = self._pad([rows[i] for i in part], model.device)
        done.append((part, model.encode_documents(*inputs).float()))


class QueryEncoder(_TextEncoder):
    """Encodes queries into q-nets; `truncated` counts those that were longer than `max_length`.

    Args:
        model: The model, on the device and in the number format it is to compute in; its
            `query_prefix` is put before every text.
        max_length: Tokens encoded of a query, special ones included; by default the model's, and
            at most what its transformer can read.
        batch_size: Queries encoded at once.
        blocks: Hidden blocks of the q-nets, of a model of nested sizes; None: all.

    Raises:
        ModelError: `max_length` leaves no room for a text, or the model has no such q-nets.
    """

    texts = "queries"

    def __init__(
        self,
        model: DualEncoder,
        *,
        max_length: int | None = None,
        batch_size: int = 32,
        blocks: int | None = None,
    ) -> None:
        if blocks is not None:
            check_size(blocks, model.q_net_config, model.nested, model.name)
        self.blocks = blocks
        length = max_length or model.query_max_length
        super().__init__(model, model.config.query_prefix, length, batch_size)

    def encode(self, texts: Sequence[str]) -> QNet:
        """The q-nets of one or more queries, one batch of them in the order of the texts."""
        return QNet.cat(list(self.batches(texts)))

    def batches(self, texts: Sequence[str], batch_size: int | None = None) -> Iterator[QNet]:
        """The q-nets of `batch_size` queries at a time, in the order of the texts.

        Those of a model of the paper's size take 14 MB a query: hold no more than you need.

        Raises:
            ForkError: See `check_threads`.
        """
        check_threads()
        size = batch_size or self.batch_size
        for start in range(0, len(texts), size):
            yield self._encode_batch(texts[start : start + size])

    def report_cut(self, cut: int) -> None:
        """Warn that so many queries were longer than can be encoded, if any were."""
        if cut:
            logger.warning(
                "%s queries are longer than %s tokens and were encoded up to there",
                f"{cut:,}",
                self.max_length,
            )

    # Not inference_mode: tangents are gradients through the q-net, and inference tensors have none.
    @torch.no_grad()
    def _encode_batch(self, texts: Sequence[str]) -> QNet:
        rows = self._count(self.tokenize(texts))
        parts: list[QNet] = []
        size = () if self.blocks is None else (self.blocks,)
        self._fitting.run(
            lambda start, end: parts.append(
                self.model.encode_queries(*self._pad(rows[start:end], self.model.device), *size)
            ),
            len(rows),
        )
        return parts[0] if len(parts) == 1 else QNet.cat(parts)
