"""A server that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_client import Client, running


@pytest.fixture(scope="session")
def judged_files(tmp_path_factory, topics) -> tuple[Path, Path]:
    """Topics, of which 1 and 2 are judged, and their qrels."""
    folder = tmp_path_factory.mktemp("judged")
    named, qrels = folder / "topics.tsv", folder / "qrels.txt"
    named.write_text("".join(f"{qid}\t{text}\n" for qid, text in topics.items()))
    grades = [f"1 0 doc{n:04} {n % 3}\n" for n in range(0, 400, 5)]
    qrels.write_text("".join(grades) + "2 0 doc0001 1\n")
    return named, qrels


@pytest.fixture(scope="session")
def client(index, judged_files) -> Iterator[Client]:
    """A client of a server of the made index, called `made`, with MCP at /mcp."""
    from hypserini.serve.app import Served, make_app
    from hypserini.serve.judged import Judged
    from hypserini.serve.mcp_tools import make_mcp
    from hypserini.serve.served import open_indexes

    topics, qrels = judged_files
    judged = {"made": Judged.load(topics, qrels)}
    served = Served(open_indexes([str(index)], device="cpu", judged=judged))
    with running(make_app(served, mcp_app=make_mcp(served).http_app(path="/mcp"))) as client:
        yield client
