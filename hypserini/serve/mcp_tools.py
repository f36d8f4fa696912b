"""The tools that assistants call over MCP: names, arguments and answers are Pyserini's.

Of Pyserini's arguments, `ef_search` changes nothing here, and `encoder` and `query_generator` are
refused where they ask for something else than there is. Ours stand behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError

from hypserini.errors import HypseriniError, shown
from hypserini.evaluate.measures import Measure
from hypserini.serve.app import Served
from hypserini.serve.judged import EVAL_METRICS, Judged

INDEX_TYPES = ("tf", "lucene_flat", "lucene_hnsw", "impact", "faiss")
"""Pyserini's kinds of indexes; ours are searched as a `tf` and as a dense one."""


@dataclass
class DenseSearchResult:
    """A hit, as Pyserini's fusion takes and gives it."""

    docid: str
    score: float


def make_mcp(served: Served) -> FastMCP:
    """Make the MCP server over some indexes; it runs by stdio, or its `http_app` is mounted."""
    mcp: FastMCP = FastMCP("hypserini")
    _add_searching(mcp, served)
    _add_judging(mcp, served)
    return mcp


def _add_searching(mcp: FastMCP, served: Served) -> None:
    @mcp.tool(output_schema=None)
    async def search(
        query: str | dict[str, Any],
        index: str = "",
        hits: int = 10,
        parse: bool = True,
        ef_search: int = 100,
        encoder: str = "",
        query_generator: str = "",
        k1: float | None = None,
        b: float | None = None,
        mode: str = "",
        filter: str = "",
        max_doc_length: int | None = None,
    ) -> list[Any]:
        """Search an index; best hits first, each as a line with docid and score, then its text.

        Args:
            query: What to search for, or an object with the text as `query_txt`.
            index: The name of the index, as list_indexes tells; by default the first.
            hits: How many documents to return.
            parse: Parse JSON documents, or return what is stored.
            ef_search: Taken for Pyserini's clients; the mode decides how the graph is searched.
            encoder: Queries are encoded by the model of the index: leave it empty.
            query_generator: BM25's queries are bags of words: leave it empty, or BagOfWords.
            k1: BM25's k1, given with b; for the modes bm25 (the default then) and hybrid.
            b: BM25's b.
            mode: auto (the q-net), bm25, hybrid, exhaustive, tangent or graph.
            filter: A query in Lucene's syntax; only documents that match it are returned.
            max_doc_length: Characters to return of each text.
        """
        text = query.get("query_txt") if isinstance(query, dict) else query
        with _told():
            if encoder:
                raise HypseriniError("queries are encoded by the model of the index: no encoder")
            if query_generator.lower() not in ("", "bagofwords", "bag_of_words"):
                raise HypseriniError("there is no query generator but BagOfWords")
            values = {
                "query": text,
                "hits": hits,
                "parse": parse,
                "k1": k1,
                "b": b,
                "mode": mode or ("auto" if k1 is None and b is None else "bm25"),
                "filter": filter,
                "max_doc_length": max_doc_length,
            }
            answer = await served.search(index or next(iter(served.indexes)), values)
        output: list[Any] = [f"Query Results for: {text}"]
        for candidate in answer["candidates"]:
            output.append(f"DocID: {candidate['docid']} | Score: {candidate['score']}")
            if candidate["doc"] is not None:
                output.append(candidate["doc"])
        return output

    @mcp.tool(output_schema=None)
    async def get_document(docid: str, index: str = "", parse: bool = True) -> list[Any]:
        """The whole of a document.

        Args:
            docid: Its id, as search gives it.
            index: The name of the index; by default the first.
            parse: Parse a JSON document, or return what is stored.
        """
        with _told():
            name = index or next(iter(served.indexes))
            document = await served.document(name, docid, {"parse": parse})
        return [] if document is None else [document]

    @mcp.tool()
    def list_indexes(index_type: str = "tf") -> list[str]:
        """The names of the indexes that can be searched.

        Args:
            index_type: Pyserini's kind of index: tf for all of ours (each can be searched by BM25),
                lucene_flat and lucene_hnsw, too, as exhaustive and approximate search goes.
        """
        if index_type not in INDEX_TYPES:
            raise ToolError(f"Index type must be one of {list(INDEX_TYPES)}")
        return [name for name, index in served.indexes.items() if index_type in index.types]

    @mcp.tool()
    def get_index(index_name: str) -> dict[str, Any]:
        """What is known of an index: documents, model, collection, judged topics.

        Args:
            index_name: Its name, as list_indexes tells.
        """
        with _told():
            return {**served.index(index_name).about(), "downloaded": True}


def _add_judging(mcp: FastMCP, served: Served) -> None:
    def judged(index_name: str) -> Judged:
        found = served.index(index_name).judged
        if found is None:
            raise HypseriniError(f"no qrels file for {index_name}")
        return found

    @mcp.tool()
    def fuse_search_results(
        results1: list[DenseSearchResult], results2: list[DenseSearchResult], hits: int = 10
    ) -> list[DenseSearchResult]:
        """Fuse two lists of hits: the sum of both scores, each normalised to -0.5 .. 0.5.

        Args:
            results1: Hits, each with docid and score.
            results2: The others.
            hits: How many to return.
        """
        return fuse_normalized(results1, results2, hits)

    @mcp.tool()
    def get_qrels(index_name: str, query_id: str) -> dict[str, str]:
        """How documents were judged for a topic: the grade of each docid; none where none was.

        Args:
            index_name: The name of the index.
            query_id: The id of the topic.
        """
        with _told():
            grades = judged(index_name).grades(query_id)
        return {docid: str(grade) for docid, grade in grades.items()}

    @mcp.tool()
    def eval_hits(
        index_name: str, metric: str, query_id: str, hits: dict[str, float], cutoff: int = 10
    ) -> float:
        """How good a ranking of a judged topic is.

        Args:
            index_name: The name of the index.
            metric: ndcg, recall, map or recip_rank.
            query_id: The id of the topic.
            hits: The score of each docid.
            cutoff: How many of the best hits count.
        """
        if metric not in EVAL_METRICS:
            raise ToolError(
                f"{shown(metric)} is not a valid evaluation metric! Must be one of "
                f"{list(EVAL_METRICS)}"
            )
        if not 0 < cutoff < 10**6:
            raise ToolError("cutoff must be positive, and below a million")
        with _told():
            judgements = judged(index_name)
            if not judgements.grades(query_id):
                raise HypseriniError(f"the topic {shown(query_id)} is not judged")
            measure = Measure(EVAL_METRICS[metric], cutoff)
            # Four decimals, as trec_eval prints, which Pyserini reads.
            return round(judgements.value(query_id, hits.items(), measure), 4)


@contextmanager
def _told() -> Iterator[None]:
    """Tell a client what it can mend, and nothing else."""
    try:
        yield
    except (HypseriniError, TimeoutError) as error:
        raise ToolError(str(error) or "the search took too long") from None


def fuse_normalized(
    results1: list[DenseSearchResult], results2: list[DenseSearchResult], hits: int
) -> list[DenseSearchResult]:
    """The fusion of Pyserini's `HybridSearcher` with normalisation and a weight of 1.

    A document that one list lacks counts there as its last. Where all scores of a list are equal,
    which Pyserini cannot divide by, all of them count 0. Equal sums come in the order of the lists.
    """
    scores = [{hit.docid: hit.score for hit in results} for results in (results1, results2)]
    totals = {docid: 0.0 for one in scores for docid in one}
    for one in scores:
        least, most = min(one.values(), default=0.0), max(one.values(), default=1.0)
        middle, width = (least + most) / 2, most - least
        for docid in totals:
            totals[docid] += (one.get(docid, least) - middle) / width if width else 0.0
    best = sorted(totals.items(), key=lambda item: -item[1])[: max(hits, 0)]
    return [DenseSearchResult(docid, score) for docid, score in best]
