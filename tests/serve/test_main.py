from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from http_client import Client

from hypserini.serve.__main__ import main

pytest.importorskip("fastapi")
pytest.importorskip("fastmcp")
pytest.importorskip("prometheus_client")


@contextmanager
def serving(index: Path, *flags: str) -> Iterator[tuple[Client, Any]]:
    """The command in a process of its own, and a client of it."""
    command = [sys.executable, "-m", "hypserini.serve", "--index", str(index), "--port", "0"]
    with subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if address := re.search(r"running on http://127.0.0.1:(\d+)", line):
                    break
            yield Client(int(address[1])), process
        finally:
            process.kill()


def test_the_command_serves_until_it_is_terminated(index):
    with serving(index, "--mcp", "http") as (client, process):
        answer = client.get("/v1/made/search", query="graph", mode="hybrid", hits=3)
        assert len(answer[1]["candidates"]) == 3
        process.send_signal(signal.SIGTERM)
        log = process.stderr.read()
        assert process.wait(60) == 143
    assert '"path":"/v1/made/search"' in log
    assert "Traceback" not in log


def test_load_overload_and_termination_under_load(index):
    """Of the real command: what is answered is answered whole, the rest is turned away at once."""
    path = "/v1/made/explain/doc0007?query=graph+walk+heap"

    def ask(_: int) -> tuple[int, str | None]:
        status, headers, body = client.ask("GET", path)
        assert json.loads(body).keys() >= ({"explanation"} if status == 200 else {"error"})
        return status, headers.get("retry-after")

    with serving(index, "--queue", "12") as (client, process), ThreadPoolExecutor(40) as pool:
        threading.Thread(target=process.stderr.read, daemon=True).start()  # else the pipe fills
        for _ in range(2):  # more at once than may wait, and then one alone
            answers = Counter(pool.map(ask, range(40)))
            assert answers.keys() == {(200, None), (503, "1")}
            assert answers[200, None] >= 12
            assert ask(0) == (200, None)
        # The signal comes while some wait; none of those that had been taken is lost.
        for _ in range(20):
            asked = [pool.submit(ask, number) for number in range(12)]
            taken = 0
            while taken < 5 and not all(each.done() for each in asked):
                taken = waiting(client)
            if taken >= 5:
                break
        answered = sum(each.done() for each in asked)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        refused = [each for each in asked if isinstance(each.exception(), ConnectionError)]
        answers = Counter(each.result() for each in asked if each not in refused)
        assert answers.keys() == {(200, None)}
        assert taken >= 5
        assert answers.total() >= answered + taken - 1  # one may have been answered in between


def waiting(client: Client) -> int:
    """How many searches wait, as Prometheus is told."""
    text = client.ask("GET", "/metrics")[2].decode()
    return int(float(re.search(r'hypserini_waiting{index="made"} (\S+)', text)[1]))


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
