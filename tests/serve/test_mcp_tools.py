from __future__ import annotations

import asyncio
import json

import pytest
from http_client import Client

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
fastmcp = pytest.importorskip("fastmcp")


def test_the_reference_client_searches_over_http(client: Client):
    async def talk():
        async with fastmcp.Client(f"http://127.0.0.1:{client.port}/mcp") as mcp:
            tools = {tool.name for tool in await mcp.list_tools()}
            indexes = await mcp.call_tool("list_indexes")
            found = await mcp.call_tool("search", {"query": "graph", "index": "made", "hits": 3})
            document = await mcp.call_tool("get_document", {"docid": "doc0007", "index": "made"})
            about = await mcp.call_tool("get_index", {"index_name": "made"})
            wrong = await mcp.call_tool(
                "search", {"query": "graph", "index": "/etc"}, raise_on_error=False
            )
            return tools, indexes, found, document, about, wrong

    tools, indexes, found, document, about, wrong = asyncio.run(talk())
    assert tools == {"search", "get_document", "list_indexes", "get_index"}
    assert indexes.data == ["made"]
    expected = client.get("/v1/made/search", query="graph", hits=3)[1]["candidates"]
    assert json.loads(found.content[0].text) == expected
    assert document.content[0].text == client.get("/v1/made/doc/doc0007")[1]["doc"]
    assert about.data["documents"] == 400
    assert wrong.is_error
    assert "Index not configured" in wrong.content[0].text
