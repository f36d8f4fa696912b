"""A PyTerrier transformer: `bm25 >> HypencoderTransformer(index)` reranks, alone it retrieves.

Needs `pip install 'hypserini[pyterrier]'`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

try:
    import pyterrier as pt
except ImportError as error:
    raise ImportError(
        "PyTerrier is not installed: pip install 'hypserini[pyterrier]', or pip install pyterrier."
    ) from error

from hypserini.search.searcher import LuceneHypencoderSearcher

if TYPE_CHECKING:
    from hypserini.search.ranking import Hits


class HypencoderTransformer(pt.Transformer):
    """Ranks documents by the q-net of each query.

    Given queries (`qid`, `query`) it searches the index; given documents, too (`docno`), it
    reranks those, and leaves other columns as they are. Documents that the index does not hold
    come last, in their order.

    Args:
        index: The folder of an index, or a searcher.
        num_results: Documents a query, when it searches.
        options: For the searcher: `model`, `device`, `mode`, ...
    """

    def __init__(
        self,
        index: str | os.PathLike[str] | LuceneHypencoderSearcher,
        *,
        num_results: int = 1000,
        **options: Any,
    ) -> None:
        super().__init__()
        if not isinstance(index, LuceneHypencoderSearcher):
            index = LuceneHypencoderSearcher(index, **options)
        self.searcher = index
        self.num_results = num_results

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Retrieve or rerank; the result has `docno`, `score` and `rank` from 0.

        Raises:
            ValueError: There is no column `qid` or `query`.
        """
        for column in ("qid", "query"):
            if column not in inp.columns:
                raise ValueError(f"the input has no column {column}: its columns are {[*inp]}")
        return self._rerank(inp) if "docno" in inp.columns else self._retrieve(inp)

    def _retrieve(self, queries: pd.DataFrame) -> pd.DataFrame:
        qids = [str(qid) for qid in queries["qid"]]
        found = self.searcher.batch_search(list(queries["query"]), qids, self.num_results)
        stale = queries.drop(columns=["score", "rank"], errors="ignore").assign(qid=qids)
        return _ranked(stale.merge(_frame(found), on="qid"))

    def _rerank(self, documents: pd.DataFrame) -> pd.DataFrame:
        given = documents.assign(
            qid=documents["qid"].astype(str), docno=documents["docno"].astype(str)
        )
        first = given.drop_duplicates("qid")
        docnos = {qid: list(group["docno"]) for qid, group in given.groupby("qid", sort=False)}
        found = self.searcher.batch_rerank(list(first["query"]), list(first["qid"]), docnos)
        stale = given.drop(columns=["score", "rank"], errors="ignore")
        return _ranked(stale.merge(_frame(found), on=["qid", "docno"]))


def _frame(rankings: Mapping[str, Hits]) -> pd.DataFrame:
    rows = [
        (qid, hit.docid, hit.score, rank)
        for qid, hits in rankings.items()
        for rank, hit in enumerate(hits)
    ]
    types = {"qid": str, "docno": str, "score": float, "rank": int}
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """Best first within each query, the queries in their order."""
    order = {qid: place for place, qid in enumerate(dict.fromkeys(frame["qid"]))}
    places = frame["qid"].map(order)
    ranked = frame.assign(place=places).sort_values(["place", "rank"], ignore_index=True)
    return ranked.drop(columns="place")
