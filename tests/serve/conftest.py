"""A server that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from http_client import Client, running


@pytest.fixture(scope="session")
def client(index) -> Iterator[Client]:
    """A client of a server of the made index, called `made`, with MCP at /mcp."""
    from hypserini.serve.app import Served, make_app
    from hypserini.serve.mcp_tools import make_mcp
    from hypserini.serve.served import open_indexes

    served = Served(open_indexes([str(index)], device="cpu"))
    with running(make_app(served, mcp_app=make_mcp(served).http_app(path="/mcp"))) as client:
        yield client
