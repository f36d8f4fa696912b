"""A server over real sockets, in a thread of the tests' own process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode


class Client:
    """Asks a server on loopback; `get` and `post` give status, headers and what the JSON says."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, names)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None, **parameters: Any):
        target = path + ("?" + urlencode(parameters, doseq=True) if parameters else "")
        status, _, body = self.ask("GET", target, **(headers or {}))
        return status, json.loads(body)

    def post(self, path: str, value: Any):
        status, _, body = self.ask("POST", path, json.dumps(value).encode())
        return status, json.loads(body)


@contextmanager
def running(app: Any) -> Iterator[Client]:
    """Serve an application at a free port until the block ends."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        yield Client(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
