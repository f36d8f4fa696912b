"""A PyTerrier transformer: `bm25 >> HypencoderTransformer(index)` reranks, alone it retrieves.

Needs `pip install 'hypserini[pyterrier]'`. Terrier and we share one Java, whichever of us starts
it: see `hypserini.jvm.terrier`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

try:
    import pyterrier as pt
except ImportError as error:
    raise ImportError(
        "PyTerrier is not installed: pip install 'hypserini[pyterrier]', or pip install pyterrier."
    ) from error

from hypserini.search.ranges import check_range
from hypserini.search.searcher import LuceneHypencoderSearcher

if TYPE_CHECKING:
    from hypserini.search.ranking import Hits

_QUERY = "number of the query"
_DOCUMENT = "docid to look up"
"""Columns of ours while a frame is worked on: whatever types `qid` and `docno` have, they stay."""


class ColumnError(pt.validate.InputValidationError, ValueError):
    """A frame that lacks a column; PyTerrier reads off it which columns are wanted."""


class HypencoderTransformer(pt.Transformer):
    """Ranks documents by the q-net of each query.

    Given queries (`qid`, `query`) it searches the index; given documents, too (`docno`), it
    reranks those. Documents that the index does not hold come last, in their order. The columns
    given stay as they are, but for `score` and `rank`, which come last; a row that is there twice
    counts once.

    Args:
        index: The folder of an index, or a searcher.
        num_results: Documents a query, when it searches.
        options: For the searcher: `model`, `device`, `mode`, ...

    Raises:
        ValueError: `num_results` is less than 1.
    """

    def __init__(
        self,
        index: str | os.PathLike[str] | LuceneHypencoderSearcher,
        *,
        num_results: int = 1000,
        **options: Any,
    ) -> None:
        super().__init__()
        check_range(1, num_results=num_results)
        if not isinstance(index, LuceneHypencoderSearcher):
            index = LuceneHypencoderSearcher(index, **options)
        self.searcher = index
        self.num_results = num_results
        # By these, PyTerrier makes one like this: with the searcher, which has its options.
        self._index = index
        self._options: dict[str, Any] = {}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Retrieve or rerank; the result has `docno`, `score` and `rank` from 0, the best first.

        Raises:
            ColumnError: There is no column `qid` or `query`.
            ValueError: A row has no qid, no query or no docno, or a qid has several queries.
        """
        _check_columns(inp)
        given = inp.drop(columns=["score", "rank"], errors="ignore")
        given = given.assign(**{_QUERY: pd.factorize(inp["qid"])[0].astype(str)})
        _check(given)
        reranks = "docno" in given.columns
        found = self._rerank(given) if reranks else self._retrieve(given)
        # The first of each query, or of each document of it, which is what is ranked.
        by = [_QUERY, _DOCUMENT] if reranks else [_QUERY]
        if reranks:
            given = given.assign(**{_DOCUMENT: given["docno"].astype(str)})
        ranked = given.drop_duplicates(by).merge(_frame(found, reranks), on=by)
        order = ranked[_QUERY].astype(int)
        ranked = ranked.assign(**{_QUERY: order}).sort_values([_QUERY, "rank"], ignore_index=True)
        return ranked.drop(columns=by)

    def _retrieve(self, given: pd.DataFrame) -> Mapping[str, Hits]:
        queries = given.drop_duplicates(_QUERY)
        return self.searcher.batch_search(
            list(queries["query"]), list(queries[_QUERY]), self.num_results
        )

    def _rerank(self, given: pd.DataFrame) -> Mapping[str, Hits]:
        queries = given.drop_duplicates(_QUERY)
        docnos = {
            number: list(group["docno"].astype(str))
            for number, group in given.groupby(_QUERY, sort=False)
        }
        return self.searcher.batch_rerank(list(queries["query"]), list(queries[_QUERY]), docnos)


def _check_columns(inp: pd.DataFrame) -> None:
    try:
        with pt.validate.any(inp) as wanted:
            wanted.columns(includes=["qid", "query"], excludes=["docno"], mode="retrieve")
            wanted.columns(includes=["qid", "query", "docno"], mode="rerank")
    except pt.validate.InputValidationError as error:
        missing = [column for column in ("qid", "query") if column not in inp.columns]
        raise ColumnError(
            f"the input has no column {' or '.join(missing)}: its columns are {[*inp.columns]}",
            error.modes,
        ) from None


def _check(given: pd.DataFrame) -> None:
    """Refuse rows that cannot be searched for, before anything is."""
    is_text: Callable[[object], bool] = lambda value: isinstance(value, str)  # noqa: E731
    for column in ("qid", "docno"):
        if column in given.columns and (missing := given[column].isna()).any():
            raise ValueError(f"{missing.sum()} rows have no {column}: drop them first")
    strange = given[~given["query"].map(is_text).astype(bool)]
    if len(strange):
        one = strange.iloc[0]
        raise ValueError(
            f"the query of qid {one['qid']} is {one['query']} and no text"
            f" ({len(strange)} rows of such): drop them first"
        )
    queries = given.drop_duplicates([_QUERY, "query"])
    twice = queries[queries.duplicated(_QUERY)]
    if len(twice):
        one = twice.iloc[0]
        raise ValueError(
            f"qid {one['qid']} has more than one query, {one['query']!r} among them: give each"
            " query a qid of its own"
        )


def _frame(rankings: Mapping[str, Hits], reranked: bool) -> pd.DataFrame:
    """The rankings as rows, by our own columns; the docids are those given where they were."""
    rows = [
        (number, hit.docid, hit.score, rank)
        for number, hits in rankings.items()
        for rank, hit in enumerate(hits)
    ]
    types = {_QUERY: str, _DOCUMENT if reranked else "docno": str, "score": float, "rank": int}
    return pd.DataFrame(rows, columns=list(types)).astype(types)
