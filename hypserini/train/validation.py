"""Validation by retrieval: every query against every document, in torch alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm.auto import tqdm

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.evaluate.measures import evaluate, mean, parse_measure
from hypserini.train.retrieval_set import RetrievalSet

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder, QNet
    from hypserini.train.data.passage_vectors import VectorStore

CHUNK = 64
"""Batches of documents that are sorted by length together."""

BLOCK = 4096
"""Documents that are scored at once."""

DEPTH = 1000
"""Documents that are ranked for a measure without a cutoff."""


class RetrievalValidation:
    """Ranks all documents of a small task by the model's scores, and measures the rankings.

    With several processes each encodes and scores its share of the documents.

    Args:
        task: queries, documents and judgements.
        measures: in the field's notation, such as `nDCG@10`.
        batch_size: documents that are encoded at once, and queries whose q-nets are held at once.

    Raises:
        MeasureError: a measure that nobody knows.
    """

    def __init__(
        self, task: RetrievalSet, measures: Sequence[str], *, batch_size: int = 64
    ) -> None:
        self.task = task
        self.measures = [parse_measure(measure) for measure in measures]
        self.batch_size = batch_size
        self.vectors: VectorStore | None = None
        """The documents' vectors, where they are there already."""
        # Twice as deep as needed, so that equal scores at the cutoff are all there.
        self.depth = max(
            2 * measure.cutoff if measure.cutoff else DEPTH for measure in self.measures
        )
        self._docids = list(task.documents)
        self._qids = list(task.queries)

    def __call__(
        self,
        model: DualEncoder,
        *,
        share: int = 0,
        shares: int = 1,
        autocast: AbstractContextManager | None = None,
        progress: bool = False,
    ) -> dict[str, float]:
        """Return the mean of every measure over the queries, and the seconds it took.

        The model is in evaluation mode meanwhile. Scores are computed in float32, whatever the
        encoders compute in, since rougher ones would be equal too often.

        Args:
            model: on its device.
            share: which share of the documents is this process's, from 0.
            shares: how many processes take part; all must call.
            autocast: the number format for the encoders, as a context.
            progress: show a progress bar.
        """
        started = time.perf_counter()
        was_training = model.training
        model.eval()
        try:
            run = self._rank(model, share, shares, autocast or nullcontext(), progress)
        finally:
            model.train(was_training)
        if shares > 1:
            from accelerate.utils import gather_object

            parts = gather_object([run])
            run = {qid: [hit for part in parts for hit in part[qid]] for qid in self._qids}
        scores = evaluate(self.task.qrels, {qid: dict(run[qid]) for qid in run}, self.measures)
        figures = {str(measure): mean(values) for measure, values in scores.items()}
        return figures | {"runtime": time.perf_counter() - started}

    def _rank(
        self,
        model: DualEncoder,
        share: int,
        shares: int,
        autocast: AbstractContextManager,
        progress: bool,
    ) -> dict[str, list[tuple[str, float]]]:
        """The best of our share of the documents for every query."""
        docids = self._docids[share::shares]
        run: dict[str, list[tuple[str, float]]] = {}
        # The weights in the smaller format are kept until the context ends: one for all batches,
        # and none that training would meet, since here they are without gradients.
        with autocast:
            if self.vectors is not None:
                vectors = self.vectors.of(docids).to(model.device)
            else:
                vectors = self._encode(docids, model, progress)
            batches = QueryEncoder(model, batch_size=self.batch_size).batches(
                [self.task.queries[qid] for qid in self._qids]
            )
            done = 0
            for q_net in batches:
                best, rows = _top(q_net.to(dtype=torch.float32), vectors, self.depth)
                for scores, found in zip(best.tolist(), rows.tolist(), strict=True):
                    hits = [(docids[row], score) for row, score in zip(found, scores, strict=True)]
                    run[self._qids[done]] = hits
                    done += 1
        return run

    def _encode(self, docids: Sequence[str], model: DualEncoder, progress: bool) -> Tensor:
        """The vectors of some documents, `[n, dim] float32` on the model's device."""
        texts = [self.task.documents[docid] for docid in docids]
        encoder = DocumentEncoder(model, batch_size=self.batch_size)
        vectors = torch.empty(len(texts), model.dim, device=model.device)
        with tqdm(total=len(texts), desc="validating", leave=False, disable=not progress) as bar:
            for start in range(0, len(texts), chunk := CHUNK * self.batch_size):
                part = torch.from_numpy(encoder.encode(texts[start : start + chunk]))
                vectors[start : start + len(part)] = part
                bar.update(len(part))
        return vectors


@torch.no_grad()
def _top(q_net: QNet, vectors: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """The best scores [q, depth] and the rows [q, depth] that have them."""
    scores = torch.empty(len(q_net), len(vectors), device=vectors.device)
    # The scores are products in float32 also within an autocast context.
    with torch.autocast(vectors.device.type, enabled=False):
        for start in range(0, len(vectors), BLOCK):
            q_net.score(vectors[start : start + BLOCK], scores[:, start : start + BLOCK])
    return scores.topk(min(depth, len(vectors)), dim=1)
