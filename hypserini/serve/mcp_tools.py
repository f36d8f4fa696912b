"""The tools that assistants call over MCP, with the names and arguments of Pyserini's."""

from __future__ import annotations

from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError

from hypserini.errors import HypseriniError
from hypserini.serve.app import Served


def make_mcp(served: Served) -> FastMCP:
    """Make the MCP server over some indexes; it runs by stdio, or its `http_app` is mounted."""
    mcp: FastMCP = FastMCP("hypserini")

    @mcp.tool()
    async def search(
        query: str,
        index: str = "",
        hits: int = 10,
        parse: bool = True,
        k1: float | None = None,
        b: float | None = None,
        mode: str = "auto",
        filter: str = "",
    ) -> list[dict[str, Any]]:
        """Search an index; the hits come best first, each with docid, score, rank and document.

        Args:
            query: What to search for.
            index: The name of the index, as list_indexes tells; by default the first.
            hits: How many documents to return.
            parse: Parse JSON documents, or return what is stored.
            k1: BM25's k1, given with b; for the modes bm25 and hybrid.
            b: BM25's b.
            mode: auto (the q-net), bm25, hybrid, exhaustive, tangent or graph.
            filter: A query in Lucene's syntax; only documents that match it are returned.
        """
        values: dict[str, Any] = {
            "query": query,
            "hits": hits,
            "parse": parse,
            "mode": mode,
            "filter": filter,
        }
        values |= {"k1": k1, "b": b}
        try:
            answer = await served.search(index or next(iter(served.indexes)), values)
        except (HypseriniError, TimeoutError) as error:
            raise ToolError(str(error) or "the search took too long") from None
        candidates: list[dict[str, Any]] = answer["candidates"]
        return candidates

    @mcp.tool()
    async def get_document(docid: str, index: str = "", parse: bool = True) -> Any:
        """The whole of a document.

        Args:
            docid: Its id, as search gives it.
            index: The name of the index; by default the first.
            parse: Parse a JSON document, or return what is stored.
        """
        try:
            name = index or next(iter(served.indexes))
            return await served.document(name, docid, {"parse": parse})
        except HypseriniError as error:
            raise ToolError(str(error)) from None

    @mcp.tool()
    def list_indexes() -> list[str]:
        """The names of the indexes that can be searched."""
        return list(served.indexes)

    @mcp.tool()
    def get_index(index_name: str) -> dict[str, Any]:
        """What is known of an index: documents, model, collection.

        Args:
            index_name: Its name, as list_indexes tells.
        """
        try:
            return served.index(index_name).about()
        except HypseriniError as error:
            raise ToolError(str(error)) from None

    return mcp
