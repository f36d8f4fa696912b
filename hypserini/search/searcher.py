"""`LuceneHypencoderSearcher`: searches a Lucene index with the q-nets of a Hypencoder."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch

from hypserini import defaults, jvm
from hypserini.encode import QueryEncoder
from hypserini.errors import IndexingError
from hypserini.index.metadata import IndexMetadata
from hypserini.index.reader import Index
from hypserini.index.shards import IndexPaths
from hypserini.index.stored_text import StoredDocument, StoredTexts
from hypserini.modeling import QNet
from hypserini.search.batches import Batch, search_in_batches
from hypserini.search.calibration import Calibration, calibrated
from hypserini.search.cascade import Cascade
from hypserini.search.explain import ScoreExplanation, explain_score
from hypserini.search.filters import Filter, make_filter
from hypserini.search.modes.first_stage import AnyHit, GivenRankings, docids_of
from hypserini.search.modes.rerank import Reranked, RerankOptions
from hypserini.search.modes.table import mode_named
from hypserini.search.query_side import QuerySide
from hypserini.search.ranges import check_range
from hypserini.search.ranking import Hit, Hits
from hypserini.search.resident.choice import make_resident
from hypserini.search.resident.field import ResidentField
from hypserini.search.resident.residence import Residence
from hypserini.search.scorer import QNetScorer, QueryBatch
from hypserini.settings import EncodingSettings

if TYPE_CHECKING:
    from hypserini.modeling import DualEncoder

__all__ = ["Hit", "Hits", "LuceneHypencoderSearcher", "StoredDocument"]

TOPICS_IN_A_BATCH = 16
"""Queries whose q-nets are held at once: 14 MB each for a model of six blocks of width 768."""


class LuceneHypencoderSearcher:
    """Ranks the documents of an index by the q-net of each query.

    Args:
        index: The folder of an index with a dense field, or of shards; or several such folders of
            one model, which are searched as one index.
        model: A model's name or folder, or a loaded one; by default the one that the index was
            encoded with. It is loaded when the first text is to be encoded.
        settings: How a model that is to be loaded encodes queries; by default as the documents
            were encoded, or else as its folder says.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `float32`, `bfloat16` or `float16`, of the encoder and the q-nets; `auto`: bfloat16
            on a GPU that has it, else float32; over a resident field what that is kept as, where
            the device multiplies it fast.
        max_length: Tokens encoded of a query; by default the model's.
        batch_size: Queries whose q-nets are held and scored together.
        mode: How to search, unless a search says otherwise: a name of `modes.MODES`.
        options: The mode's options; by default its defaults.
        residence: Whether the dense field is kept on the device, and how; by default on a GPU, if
            it fits. It is read at the first search.
        q_net_size: Hidden blocks of the q-nets, of a model of nested sizes; by default all.
        cascade: Search with smaller q-nets than those that rank in the end; a call that names a
            mode of its own does without.

    Raises:
        ValueError: There is no such mode, a number is less than 1, or settings were given with a
            loaded model.
        IndexingError: The index is missing, has no dense field or belongs to another model.
        ModelError: The model cannot be loaded.
    """

    def __init__(
        self,
        index: IndexPaths,
        model: str | os.PathLike[str] | DualEncoder | None = None,
        *,
        settings: EncodingSettings | None = None,
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        batch_size: int = TOPICS_IN_A_BATCH,
        mode: str = "auto",
        options: Any = None,
        residence: Residence | bool | None = None,
        q_net_size: int | None = None,
        cascade: Cascade | None = None,
    ) -> None:
        mode_named(mode)
        check_range(1, batch_size=batch_size, max_length=max_length)
        check_range(0, q_net_size=q_net_size)
        self.cascade = cascade
        self.mode = mode
        self.options = options
        self.index = Index(index)
        self.batch_size = batch_size
        self.calibration: Calibration | None = None
        """What tangent search was calibrated to just now; it goes before what the index keeps."""
        self.without: list[str] = []
        """Shards that a search had to do without; see `ShardedHypencoderSearcher`."""
        self._device = device
        self._dtype = dtype
        self._residence = residence if isinstance(residence, Residence) else Residence(residence)
        self._field: ResidentField | None = None
        self._field_is_chosen = False
        self._choosing = threading.Lock()
        try:
            if not self.index.num_docs:
                raise IndexingError(
                    f"the index {self.index.path} holds no documents: add some with"
                    " `python -m hypserini.index --add`."
                )
            self.metadata = IndexMetadata.from_user_data(self.index.metadata, str(self.index.path))
            self._texts = StoredTexts(self.index)
            self._query_side = QuerySide(
                self.index,
                self.metadata,
                os.fspath(model) if isinstance(model, os.PathLike) else model,
                settings,
                device=device,
                dtype=dtype,
                max_length=max_length,
                blocks=q_net_size,
                smaller=None if cascade is None else cascade.blocks,
            )
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_prebuilt_index(cls, name: str, model: str | None = None, **options: Any) -> Self:
        """Open an index of the index folder by its name, e.g. `msmarco-v1-passage.hypencoder...`.

        Raises:
            IndexingError: There is none of that name; says which there are.
        """
        return cls(defaults.find_index(name), model, **options)

    @property
    def num_docs(self) -> int:
        """The number of live documents."""
        return self.index.num_docs

    @property
    def encoder(self) -> QueryEncoder:
        """The query encoder; loads the model on first use."""
        return self._query_side.encoder

    def search(self, q: str | QNet, k: int = 10, **how: Any) -> Hits:
        """The `k` best documents for a query text or its q-net, best first, ties by docid.

        `how` is any of `mode`, `options` and `filter`, as in `stream_search`.
        """
        return self.batch_search([q], ["q"], k, **how)["q"]

    def batch_search(
        self,
        queries: Sequence[str | QNet],
        qids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        **how: Any,
    ) -> dict[str, Hits]:
        """The `k` best documents of each query, by query id; arguments as in `stream_search`."""
        return dict(self.stream_search(queries, qids, k, threads, **how))

    def stream_search(
        self,
        queries: Sequence[str | QNet],
        qids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        *,
        mode: str | None = None,
        options: Any = None,
        filter: str | Path | Iterable[str] | Filter | None = None,
    ) -> Iterator[tuple[str, Hits]]:
        """Search with each query; hands out each ranking when it is ready, in input order.

        Args:
            queries: Texts, or q-nets of one query each.
            qids: As many ids, all different.
            k: Hits a query; more than there are documents gives all of them.
            threads: Batches of queries that are searched side by side, a few ahead.
            mode: How to search; by default the searcher's.
            options: The mode's options; by default the searcher's, or the mode's defaults.
            filter: Return only these documents: a query in Lucene's syntax over the text fields,
                docids, a file with a docid a line, or a `Filter`.

        Raises:
            ValueError: `k` or `threads` is less than 1, or there are not as many ids as queries.
            IndexingError: The index is damaged, or does not fit the q-nets.
            JavaError: This process was forked from one in which the searcher was opened.
        """
        if len(queries) != len(qids):
            raise ValueError(f"{len(queries)} queries but {len(qids)} ids")
        check_range(1, k=k, threads=threads)
        jvm.start()  # refuses in a forked process, where torch would wait for threads for ever
        chosen = mode_named(mode or self.mode)
        if options is None:
            same = mode in (None, self.mode)
            options = self.options if same and self.options is not None else chosen.options()
        if chosen.options is not RerankOptions:  # which may be given more than there is
            k = min(k, max(1, self.index.num_vectors))
        # A mode that is named is searched whole, and reranking is no search.
        cascade = None if mode or chosen.options is RerankOptions else self.cascade
        depth = k if cascade is None else cascade.depth_for(k, self.index)
        options = calibrated(self.index, options, depth, self.calibration)
        wanted = make_filter(self.index, filter)

        def search(batch: Batch) -> list[Hits]:
            encoded, encode_ms = self._query_side.batch(*batch)
            how = (mode or self.mode, options, wanted, cascade)
            rankings = self.rank_batch(encoded, k, *how)
            for hits in rankings:
                hits.cost.encode_ms = encode_ms / len(encoded)
            return rankings

        if threads > 1 and any(isinstance(query, str) for query in queries):
            _ = self.encoder  # loaded once, and not by each thread
        yield from search_in_batches(search, queries, qids, self.batch_size, threads)

    def rank_batch(
        self,
        batch: QueryBatch,
        k: int,
        mode: str,
        options: Any,
        filter: Filter | None,
        cascade: Cascade | None = None,
    ) -> list[Hits]:
        """Search with one batch of encoded queries; the last step of every search.

        Args:
            batch: The queries.
            k: Hits a query, no more than there are vectors.
            mode: How to search.
            options: The mode's.
            filter: One of this index, or None.
            cascade: How the search is divided among the q-nets' sizes; None: it is not.
        """
        chosen = mode_named(mode)
        device = self._query_side.device_for(batch.q_net)
        field = self._field_on(device)
        scorer = QNetScorer(batch.q_net, device=device, dtype=self._dtype, field=field)
        prepared = QueryBatch(scorer.q_net, batch.qids, batch.texts)

        def by(batch: QueryBatch, k: int, scorer: QNetScorer) -> list[Hits]:
            return chosen.search(self.index, batch, k, scorer, options, filter)

        with self.index.reading():
            if cascade is None or chosen.options is RerankOptions:
                return by(prepared, k, scorer)
            return cascade.search(self.index, prepared, k, scorer, filter, by)

    def rerank(
        self,
        q: str | QNet,
        hits: Iterable[AnyHit],
        k: int | None = None,
        *,
        drop_missing: bool = False,
    ) -> Reranked:
        """Rank given documents by the q-net of a query; no other document, and no text, is read.

        Args:
            q: A query text, or a q-net of one query.
            hits: Pyserini's hits, ours, pairs of docid and score, or docids.
            k: Hits to return; by default all.
            drop_missing: Leave out what the index does not hold; otherwise it comes last.
        """
        return self.batch_rerank([q], ["q"], {"q": hits}, k, drop_missing=drop_missing)["q"]

    def batch_rerank(
        self,
        queries: Sequence[str | QNet],
        qids: Sequence[str],
        hits: Mapping[str, Iterable[AnyHit]],
        k: int | None = None,
        threads: int = 1,
        *,
        drop_missing: bool = False,
    ) -> dict[str, Reranked]:
        """Like `rerank`, for many queries; `hits` by query id, as Pyserini's `batch_search` gives.

        Raises:
            KeyError: `hits` has none of a query id; give an empty list for no documents.
        """
        docids = {qid: docids_of(hits[qid]) for qid in qids}
        if k is None:
            k = max(1, *map(len, docids.values()), 1)
        options = RerankOptions(GivenRankings(docids), drop_missing)
        ranked = self.batch_search(queries, qids, k, threads, mode="rerank", options=options)
        return {qid: cast(Reranked, found) for qid, found in ranked.items()}

    def doc(self, docid: str) -> StoredDocument | None:
        """The stored document of a docid, or None when the index does not hold it."""
        return self._texts.document(docid)

    def contents(self, docid: str) -> str | None:
        """The text of a stored document as it was encoded; None when there is none."""
        document = self.doc(docid)
        return document.contents() if document else None

    def explain(
        self, query: str | QNet, docid: str, *, query_words: bool = True
    ) -> ScoreExplanation:
        """What the score of a document is made of: its linear share, and words.

        Args:
            query: A text or its q-net.
            docid: The document.
            query_words: Trace the query's words, too, which takes about as long as the document's.

        Raises:
            IndexingError: The index has no vector of the document.
        """
        return explain_score(
            self.index,
            self.encoder,
            query,
            docid,
            self.contents(docid),
            query_words=query_words,
            max_length=self.metadata.max_length if self.metadata else None,
        )

    def close(self) -> None:
        """Close the index, and give back what the device holds of it."""
        if self._field is not None:
            self._field.close()
            self._field = None
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _field_on(self, device: torch.device) -> ResidentField | None:
        """The resident field, read when it is first asked for; None where there is none."""
        with self._choosing:
            if not self._field_is_chosen:
                self._field = make_resident(self.index, device, self._residence)
                self._field_is_chosen = True
            return self._field
