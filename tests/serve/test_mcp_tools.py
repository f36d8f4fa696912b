"""The tools over MCP, called by the reference client, answer as Pyserini's."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from itertools import chain
from typing import Any

import pytest
from http_client import Client

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
fastmcp = pytest.importorskip("fastmcp")

TOOLS = {
    "search": "query index hits parse ef_search encoder query_generator k1 b",
    "get_document": "docid index parse",
    "list_indexes": "index_type",
    "get_index": "index_name",
    "fuse_search_results": "results1 results2 hits",
    "get_qrels": "index_name query_id",
    "eval_hits": "index_name metric query_id hits cutoff",
}
"""Of Pyserini 2.4, with their arguments in order."""


def said(answer: Any) -> list[Any]:
    """The list that a tool answers, which comes as one text of JSON, as from Pyserini."""
    return json.loads(answer.content[0].text)


def test_tools_have_pyserinis_names_and_arguments(client: Client):
    async def talk():
        async with fastmcp.Client(f"http://127.0.0.1:{client.port}/mcp") as mcp:
            return await mcp.list_tools()

    found = {tool.name: list(tool.input_schema["properties"]) for tool in asyncio.run(talk())}
    assert found.keys() == TOOLS.keys()
    for name, arguments in TOOLS.items():
        wanted = arguments.split()
        assert found[name][: len(wanted)] == wanted  # ours come after


def test_the_reference_client_searches_over_http(client: Client):
    async def talk():
        async with fastmcp.Client(f"http://127.0.0.1:{client.port}/mcp") as mcp:
            call = mcp.call_tool
            asked = {"index": "made", "hits": 2}
            return (
                await call("search", {"query": "graph", **asked}),
                await call("search", {"query": {"qid": "1", "query_txt": "graph"}, **asked}),
                await call("search", {"query": "graph", **asked, "k1": 1.2, "b": 0.7}),
                await call("get_document", {"docid": "doc0007", "index": "made"}),
                await call("get_index", {"index_name": "made"}),
                await call("list_indexes", {"index_type": "tf"}),
                await call("list_indexes", {"index_type": "faiss"}),
            )

    found, by_object, by_bm25, document, about, tf, faiss = asyncio.run(talk())

    def expected(**parameters):
        hits = client.get("/v1/made/search", query="graph", hits=2, **parameters)[1]["candidates"]
        lines = ((f"DocID: {hit['docid']} | Score: {hit['score']}", hit["doc"]) for hit in hits)
        return ["Query Results for: graph", *chain.from_iterable(lines)]

    assert said(found) == said(by_object) == expected()
    assert said(by_bm25) == expected(mode="bm25", k1=1.2, b=0.7)
    assert said(document) == [client.get("/v1/made/doc/doc0007")[1]["doc"]]
    assert about.data["documents"] == 400
    assert tf.data == ["made"]
    assert faiss.data == []


def test_judgements_and_fusion(client: Client, topics, judged_files):
    first = [("d1", 3.0), ("d2", 2.5), ("d3", 1.0)]
    second = [("d3", 20.0), ("d4", 11.0), ("d1", 10.0)]

    async def talk():
        async with fastmcp.Client(f"http://127.0.0.1:{client.port}/mcp") as mcp:
            lists = [
                [{"docid": docid, "score": score} for docid, score in hits]
                for hits in (first, second)
            ]
            fused = await mcp.call_tool(
                "fuse_search_results", {"results1": lists[0], "results2": lists[1], "hits": 3}
            )
            asked = {"index_name": "made", "query_id": "1"}
            grades = await mcp.call_tool("get_qrels", asked)
            none = await mcp.call_tool("get_qrels", {**asked, "query_id": "77"})
            hits = {"doc0005": 3.0, "doc0001": 2.0, "doc0010": 1.0}
            values = {
                metric: await mcp.call_tool(
                    "eval_hits", {**asked, "metric": metric, "hits": hits, "cutoff": 2}
                )
                for metric in ("ndcg", "recall", "map", "recip_rank")
            }
            return fused.structured_content["result"], grades, none, values

    fused, grades, none, values = asyncio.run(talk())
    # Less the middle of each list, over its width: 3 .. 1 and 20 .. 10; d2 is not in the second
    # and counts as its last, and so does d4 in the first.
    assert [hit["docid"] for hit in fused] == ["d1", "d3", "d2"]
    assert [hit["score"] for hit in fused] == pytest.approx([0.5 - 0.5, -0.5 + 0.5, 0.25 - 0.5])
    lines = [line.split() for line in judged_files[1].read_text().splitlines()]
    assert grades.data == {docid: grade for qid, _, docid, grade in lines if qid == "1"}
    assert none.data == {}
    relevant = sum(int(grade) > 0 for grade in grades.data.values())
    assert grades.data["doc0005"] == "2"
    # One relevant document of grade 2 comes first, and counts 2 of an ideal 2 + 2 / log2(3).
    assert values["ndcg"].data == pytest.approx(2 / (2 + 2 / 1.584962), abs=1e-4)
    assert values["recall"].data == values["map"].data == pytest.approx(1 / relevant, abs=1e-4)
    assert values["recip_rank"].data == 1.0


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("search", {"query": "graph", "index": "/etc"}, "Index not configured for this server"),
        ("search", {"query": {"qid": "1"}, "index": "made"}, "'query' is required"),
        ("search", {"query": "graph", "encoder": "ArcticEmbedL"}, "no encoder"),
        ("search", {"query": "graph", "k1": 1.0}, "k1 and b must be set together"),
        ("get_document", {"docid": "absent", "index": "made"}, "Document not found: absent"),
        ("list_indexes", {"index_type": "dense"}, "Index type must be one of"),
        ("get_qrels", {"index_name": "absent", "query_id": "1"}, "Index not configured"),
        (
            "eval_hits",
            {"index_name": "made", "metric": "f1", "query_id": "1", "hits": {}},
            "is not a valid evaluation metric",
        ),
        (
            "eval_hits",
            {"index_name": "made", "metric": "ndcg", "query_id": "77", "hits": {"d": 1.0}},
            "is not judged",
        ),
    ],
)
def test_errors_are_told_and_nothing_else(client: Client, tool, arguments, message):
    async def talk():
        async with fastmcp.Client(f"http://127.0.0.1:{client.port}/mcp") as mcp:
            return await mcp.call_tool(tool, arguments, raise_on_error=False)

    answer = asyncio.run(talk())
    assert answer.is_error
    assert message in answer.content[0].text
    assert "Traceback" not in answer.content[0].text


def test_equal_scores_and_empty_lists_are_fused():
    from hypserini.serve.mcp_tools import DenseSearchResult, fuse_normalized

    equal = [DenseSearchResult("a", 1.0), DenseSearchResult("b", 1.0)]
    assert fuse_normalized(equal, [], 5) == [
        DenseSearchResult("a", 0.0 - 0.5),
        DenseSearchResult("b", 0.0 - 0.5),
    ]
    assert fuse_normalized([], [], 5) == []


@pytest.mark.slow
def test_the_reference_client_searches_over_stdio(index, judged_files):
    from fastmcp.client.transports import StdioTransport

    topics, qrels = map(str, judged_files)
    arguments = ["-m", "hypserini.serve", "--index", str(index), "--mcp", "stdio"]
    arguments += ["--topics", topics, "--qrels", qrels]
    transport = StdioTransport(sys.executable, arguments, env=dict(os.environ))

    async def talk():
        async with fastmcp.Client(transport, timeout=120) as mcp:
            tools = {tool.name for tool in await mcp.list_tools()}
            found = await mcp.call_tool("search", {"query": "graph", "hits": 2})
            grades = await mcp.call_tool("get_qrels", {"index_name": "made", "query_id": "2"})
            return tools, found, grades

    tools, found, grades = asyncio.run(talk())
    assert tools == TOOLS.keys()
    assert said(found)[0] == "Query Results for: graph"
    assert grades.data == {"doc0001": "1"}
