"""The kinds of teachers: by the texts, by an index's text or vectors, by a run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from hypserini.errors import TrainingError, shown
from hypserini.formats.runs import read_run
from hypserini.index.reader import Index
from hypserini.index.stored_text import StoredTexts
from hypserini.search.bm25 import Bm25
from hypserini.search.filters import Filter
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.data.examples import WholeExample
from hypserini.train.teach.teacher import BATCH, PairScorer, check_held, docids_of


class TextTeacher:
    """Scores by the texts.

    Args:
        scorer: Of pairs.
        index: Stores the texts, where examples name documents by id.
    """

    def __init__(self, scorer: PairScorer, index: str | None = None) -> None:
        self.name, self.batch_size, self.texts = scorer.name, scorer.batch_size, [scorer]
        self.settings = {
            "weights": scorer.fingerprint,
            "max-length": scorer.max_length,
            "batch-size": scorer.batch_size,
        }
        self._scorer = scorer
        self._index = Index(index) if index is not None else None
        self.settings["texts"] = _place(self._index) if self._index is not None else None
        self._stored = StoredTexts(self._index) if self._index is not None else None

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """See `Teacher`."""
        queries = [e["query"]["content"] for e in examples for _ in e["items"]]
        if self._stored is None or self._index is None:
            return self._scorer.score(queries, [i["content"] for e in examples for i in e["items"]])
        docids = check_held(self._index, examples)
        unique = list(dict.fromkeys(docids))
        texts = dict(zip(unique, self._stored.texts(unique), strict=True))
        return self._scorer.score(queries, [texts[docid] or "" for docid in docids])

    def close(self) -> None:
        """See `Teacher`."""
        if self._index is not None:
            self._index.close()


class Bm25Teacher:
    """BM25 over the text of an index; 0 where no word is shared.

    Args:
        path: The index.
    """

    def __init__(self, path: str) -> None:
        self._index = Index(path)
        self.name, self.batch_size = f"BM25 over {self._index.path}", BATCH
        self.texts: list[Any] = []
        self.settings = {"bm25": _place(self._index)}
        self._bm25 = Bm25(self._index.path)

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """See `Teacher`."""
        check_held(self._index, examples)
        scores = []
        for example in examples:
            docids = docids_of(example)
            within = Filter.listed(self._index, docids)
            hits = self._bm25.search(example["query"]["content"], len(docids), within)
            found = {hit.docid: hit.score for hit in hits}
            scores += [found.get(docid, 0.0) for docid in docids]
        return np.asarray(scores, np.float32)

    def close(self) -> None:
        """See `Teacher`."""
        self._bm25.close()
        self._index.close()


class EncoderTeacher:
    """A bi-encoder, or a Hypencoder, over the vectors of its index.

    Args:
        index: The index.
        model: The model; None: the index's own.
        device: As `load_model` takes it.
        dtype: As `load_model` takes it.

    Raises:
        IndexingError: The index does not belong to the model.
    """

    def __init__(
        self, index: str | os.PathLike[str], model: str | None, device: str, dtype: str
    ) -> None:
        self._searcher = LuceneHypencoderSearcher(index, model, device=device, dtype=dtype)
        encoder = self._searcher.encoder.model
        self.name, self.batch_size = encoder.name, BATCH
        self.texts: list[Any] = []
        vectors = _place(self._searcher.index)
        self.settings = {"encoder": [encoder.name, encoder.fingerprint], "vectors": vectors}

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """See `Teacher`."""
        check_held(self._searcher.index, examples)
        qids = [str(number) for number in range(len(examples))]
        docids = {qid: docids_of(e) for qid, e in zip(qids, examples, strict=True)}
        queries = [e["query"]["content"] for e in examples]
        ranked = self._searcher.batch_rerank(queries, qids, docids)
        found = {qid: {hit.docid: hit.score for hit in ranked[qid]} for qid in qids}
        return np.asarray([found[q][docid] for q in qids for docid in docids[q]], np.float32)

    def close(self) -> None:
        """See `Teacher`."""
        self._searcher.close()


class RunTeacher:
    """The scores of a run, by the ids of queries and documents.

    Args:
        path: The run.

    Raises:
        TrainingError: It has ranks and no scores.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name, self.batch_size = os.fspath(path), BATCH
        self.texts: list[Any] = []
        run = read_run(self.name)
        if all(s == 1 / rank for hits in run.values() for rank, (_, s) in enumerate(hits, 1)):
            raise TrainingError(
                f"the run {path} has ranks and no scores to teach: write it in the TREC format."
            )
        self._run = {qid: dict(hits) for qid, hits in run.items()}
        with open(self.name, "rb") as file:
            self.settings = {"run": hashlib.file_digest(file, "sha256").hexdigest()}

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """See `Teacher`.

        Raises:
            TrainingError: The run does not score a pair; names it.
        """
        scores = []
        for example in examples:
            qid = example["query"].get("id")
            hits = self._run.get(str(qid), {})
            for docid in docids_of(example):
                if docid not in hits:
                    raise TrainingError(
                        f"the run {self.name} has no score of document {docid} for the query "
                        f"{shown(qid)}: take the items from the run, or a run that is deeper."
                    )
                scores.append(hits[docid])
        return np.asarray(scores, np.float32)

    def close(self) -> None:
        """See `Teacher`."""


def _place(index: Index) -> list[Any]:
    """What tells an index and its state."""
    return [str(index.path.resolve()), index.num_docs]
