from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from http_client import Client

from hypserini.serve.__main__ import main

pytest.importorskip("fastapi")
pytest.importorskip("fastmcp")
pytest.importorskip("prometheus_client")


def test_the_command_serves_until_it_is_terminated(index):
    command = [sys.executable, "-m", "hypserini.serve", "--index", str(index), "--port", "0"]
    with subprocess.Popen(
        [*command, "--mcp", "http"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if address := re.search(r"running on http://127.0.0.1:(\d+)", line):
                    break
            client = Client(int(address[1]))
            answer = client.get("/v1/made/search", query="graph", mode="hybrid", hits=3)
            assert len(answer[1]["candidates"]) == 3
            process.send_signal(signal.SIGTERM)
            log = process.stderr.read()
            assert process.wait(60) == 143
        finally:
            process.kill()
    assert '"path":"/v1/made/search"' in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--index", "{}", "--index", "{}"], "two of the indexes have one name"),
        (["--index", "absent"], "absent"),
        (["--index", "{}", "--token-file", "absent.txt"], "absent.txt"),
        (["--index", "{}", "--mcp", "stdio", "--port", "1"], "--port belongs to"),
    ],
)
def test_errors_are_one_line(index, capsys, arguments, message):
    assert main([argument.format(index) for argument in arguments]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert message in err[-1]
