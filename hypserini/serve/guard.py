"""What stands before every request: who may ask, how much, and a line in the log."""

from __future__ import annotations

import hmac
import json
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any

from hypserini.serve.metrics import Metrics

logger = logging.getLogger("hypserini.serve.request")

OPEN = ("/", "/health", "/page.css", "/page.js", "/marks.js", "/topics.js")
"""What needs no token: the page, which asks for it, and whether the server is there."""
TOO_LARGE = (413, "the body is too large")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # The page loads nothing from elsewhere and runs no script but its own.
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be.

    Attributes:
        token: What it must carry, as `Authorization: Bearer` or `X-API-Key`; None for nothing.
        url_bytes: The longest query string.
        body_bytes: The largest body.
        hosts: The names under which the server may be called, or None for any: one that listens to
            this machine alone answers no page of another host that has led its name here.
    """

    token: str | None = None
    url_bytes: int = 65_536
    body_bytes: int = 1_048_576
    hosts: tuple[str, ...] | None = LOOPBACK


class Guard:
    """ASGI middleware that refuses, counts and logs.

    Args:
        app: The application behind it.
        limits: What requests may be.
        metrics: Where they are counted.
    """

    def __init__(self, app: Any, limits: Limits, metrics: Metrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, request_id = time.perf_counter(), uuid.uuid4().hex
        status = 500
        begun = too_large = False

        async def sending(message: Any) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                own = (b"x-request-id", request_id.encode())
                message = {**message, "headers": [*message["headers"], *HEADERS, own]}
            await send(message)

        taken = 0

        async def receiving() -> Any:
            nonlocal taken, too_large
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= self._limits.body_bytes:
                return message
            if not begun:
                too_large = True
                await _error(sending, *TOO_LARGE)
            return {"type": "http.disconnect"}

        async def answering(message: Any) -> None:
            if not too_large:  # else it has its answer
                await sending(message)

        try:
            refused = self._refusal(scope)
            if refused:
                await _error(sending, *refused)
            else:
                await self._app(scope, receiving, answering)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count(endpoint(scope["path"]), status, seconds)
            _log(scope, request_id, status, seconds)

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        limits = self._limits
        if limits.hosts is not None and _host(headers.get(b"host", b"")) not in limits.hosts:
            return 400, "this server is not called so: the header Host names another one"
        if len(scope.get("query_string", b"")) > limits.url_bytes:
            return 414, "the query string is too long"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > limits.body_bytes:
            return TOO_LARGE
        if limits.token is not None and scope["path"] not in OPEN:
            wanted = limits.token.encode()
            given = [headers.get(b"x-api-key", b"").strip()]
            kind, _, bearer = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() == b"bearer":
                given.append(bearer.strip())
            # All are compared, in a time that tells nothing.
            if not sum(hmac.compare_digest(token, wanted) for token in given):
                return 401, "Unauthorized."
        return None


def endpoint(path: str) -> str:
    """The endpoint of a path, one of a few names."""
    if path.startswith("/v1/"):
        if "/doc/" in path:
            return "doc"
        if "/explain/" in path:
            return "explain"
        name = path.rpartition("/")[2]
        return name if name in ("search", "topics", "indexes") else "other"
    known = ("health", "metrics", "docs", "openapi.json", "openapi.yaml", "mcp")
    name = path.strip("/").partition("/")[0]
    return name if name in known else "page" if path in OPEN else "other"


def _host(header: bytes) -> str:
    name = header.decode("latin-1").strip().lower()
    return name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]


async def _error(send: Any, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log(scope: Any, request_id: str, status: int, seconds: float) -> None:
    client = scope.get("client") or ("",)
    line = {
        "event": "request",
        "request_id": request_id,
        "client": client[0],
        "method": scope["method"],
        "path": scope["path"][:200],
        "query": scope.get("query_string", b"")[:400].decode("latin-1"),
        "status": status,
        "latency_ms": round(seconds * 1e3, 3),
    }
    logger.info("%s", json.dumps(line, separators=(",", ":")))
