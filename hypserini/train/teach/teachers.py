"""Teachers: what gives the items of training examples their scores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from hypserini.errors import TrainingError, named, shown
from hypserini.formats.runs import read_run
from hypserini.index.reader import Index
from hypserini.index.stored_text import StoredTexts
from hypserini.search.bm25 import Bm25
from hypserini.search.filters import Filter
from hypserini.search.searcher import LuceneHypencoderSearcher
from hypserini.train.data.examples import WholeExample

BATCH = 64


class Teacher(Protocol):
    """Scores the items of examples.

    Attributes:
        name: What it is called.
        batch_size: Pairs that it scores at once.
        settings: What decides about its scores.
        texts: What in it reads texts.
    """

    name: str
    batch_size: int
    settings: dict[str, Any]
    texts: list[Any]

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """The scores of all items, one example's after the other's: `[pairs] float32`."""

    def close(self) -> None:
        """Close what it has open."""


class PairScorer(Protocol):
    """Scores pairs of texts, as cross-encoders and SPLADE do."""

    name: str
    fingerprint: str
    max_length: int
    batch_size: int

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """The scores of pairs, `[n] float32`."""


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
            docids = _docids(example)
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
        docids = {qid: _docids(e) for qid, e in zip(qids, examples, strict=True)}
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
            for docid in _docids(example):
                if docid not in hits:
                    raise TrainingError(
                        f"the run {self.name} has no score of document {docid} for the query "
                        f"{shown(qid)}: take the items from the run, or a run that is deeper."
                    )
                scores.append(hits[docid])
        return np.asarray(scores, np.float32)

    def close(self) -> None:
        """See `Teacher`."""


class Fusion:
    """Several teachers as one: the weighted sum of their scores, each standardised in an example.

    Args:
        teachers: One or more.
        weights: Of each; by default equal.
    """

    def __init__(self, teachers: Sequence[Teacher], weights: Sequence[float] | None = None) -> None:
        self._teachers = list(teachers)
        self._weights = list(weights or [1.0] * len(self._teachers))
        self.name = " and ".join(teacher.name for teacher in teachers)
        self.batch_size = min(teacher.batch_size for teacher in teachers)
        self.texts = [each for teacher in teachers for each in teacher.texts]
        self.settings = {"fused": [t.settings for t in teachers], "weighed": self._weights}

    def score(self, examples: Sequence[WholeExample]) -> np.ndarray:
        """See `Teacher`."""
        ends = np.cumsum([0, *(len(e["items"]) for e in examples)])
        total = np.zeros(ends[-1], np.float32)
        for teacher, weight in zip(self._teachers, self._weights, strict=True):
            scores = teacher.score(examples)
            for start, end in pairwise(ends):
                total[start:end] += weight * _standardised(scores[start:end])
        return total

    def close(self) -> None:
        """See `Teacher`."""
        for teacher in self._teachers:
            teacher.close()


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Scores with mean 0 and standard deviation 1; 0 where all are equal."""
    # In float32 the mean of scores that differ in their last bits would be off by as much.
    scores = scores.astype(np.float64)
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


KINDS = ("cross-encoder", "splade", "bi-encoder", "encoder", "bm25", "run")
_OVER_INDEX = ("encoder", "bm25")


def open_teacher(
    specs: Sequence[str],
    *,
    index: str | None = None,
    model: str | None = None,
    weights: Sequence[float] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    max_length: int | None = None,
    batch_size: int = BATCH,
    standardised: bool = False,
    **of_cross_encoder: Any,
) -> Teacher:
    """Open a teacher, or several fused.

    Args:
        specs: Each a kind of `KINDS`, and after an equals sign its name: a model or a file.
        index: Whose vectors and texts are scored; needed by `encoder` and `bm25`.
        model: The encoder of the index, where that does not say it.
        weights: Of several.
        device: As `load_model` takes it.
        dtype: As `load_model` takes it.
        max_length: Tokens of a text, or pair of texts.
        batch_size: Texts or pairs at once.
        standardised: Standardise the scores of a single teacher in each example, too.
        of_cross_encoder: `score` and `positive_label`.

    Raises:
        TrainingError: A kind is unknown or lacks its name or index.
        ModelError, IndexingError, RunError: What is named cannot be opened.
    """
    if weights and len(weights) != len(specs):
        raise TrainingError(
            f"{len(specs)} teachers and {len(weights)} weights: give one for each teacher."
        )
    how: dict[str, Any] = {"device": device, "dtype": dtype}
    of_texts = {**how, "max_length": max_length, "batch_size": batch_size}

    def one(spec: str) -> Teacher:
        kind, _, name = spec.partition("=")
        if kind not in KINDS:
            raise TrainingError(f"there is no teacher {shown(kind)}: use one of {named(KINDS)}.")
        if kind in _OVER_INDEX and index is None:
            raise TrainingError(f"the teacher {kind} scores what an index holds: name an --index.")
        if kind not in _OVER_INDEX and not name:
            raise TrainingError(f"the teacher {kind} needs a name: give {kind}=NAME.")
        if kind == "bm25":
            assert index is not None
            return Bm25Teacher(index)
        if kind == "encoder":
            assert index is not None
            return EncoderTeacher(index, name or model, **how)
        if kind == "run":
            return RunTeacher(name)
        from hypserini.train.teach import bi_encoder, cross_encoder, splade

        if kind == "bi-encoder":
            return TextTeacher(bi_encoder.TextEncoder(name, **of_texts), index)
        if kind == "splade":
            return TextTeacher(splade.Splade(name, **of_texts), index)
        return TextTeacher(cross_encoder.CrossEncoder(name, **of_texts, **of_cross_encoder), index)

    teachers: list[Teacher] = []
    try:
        for spec in specs:
            teachers.append(one(spec))
    except BaseException:
        for teacher in teachers:
            teacher.close()
        raise
    alone = len(teachers) == 1 and not standardised
    return teachers[0] if alone else Fusion(teachers, weights)


def check_held(index: Index, examples: Sequence[WholeExample]) -> list[str]:
    """The docids of all items, which the index must hold.

    Raises:
        TrainingError: It lacks some; says how many and which.
    """
    docids = [docid for example in examples for docid in _docids(example)]
    unique = list(dict.fromkeys(docids))
    held = index.holds(unique)
    lacking = [docid for docid, there in zip(unique, held, strict=True) if not there]
    if lacking:
        raise TrainingError(
            f"the index {index.path} lacks {len(lacking):,} documents that examples name "
            f"({named(lacking)}): leave them out, or name the index that has them."
        )
    return docids


def _docids(example: WholeExample) -> list[str]:
    return [_docid(number, item) for number, item in enumerate(example["items"])]


def _docid(number: int, item: Any) -> str:
    if item.get("id") is None:
        raise TrainingError(f"items[{number}] has no id, by which the teacher knows documents.")
    return str(item["id"])


def _place(index: Index) -> list[Any]:
    """What tells an index and its state."""
    return [str(index.path.resolve()), index.num_docs]
