"""The REST application: Pyserini's endpoints over our searchers, ours beside them, and the page."""

from __future__ import annotations

import asyncio
import html
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from hypserini import faults
from hypserini.jvm.threads import detached
from hypserini.serve.batching import Overloaded
from hypserini.serve.guard import Guard, Limits
from hypserini.serve.metrics import CONTENT_TYPE, Metrics
from hypserini.serve.openapi import SCHEMA
from hypserini.serve.requests import BadRequest, NotFound, Search, Shown, explanation_of, utf8
from hypserini.serve.served import ServedIndex

logger = logging.getLogger(__name__)

RETRY_AFTER = 1
"""Seconds after which a client that was turned away may try again."""
ABOUT = {
    "name": "hypserini",
    "version": "v1",
    "description": "Hypencoder retrieval over Lucene indexes, with Pyserini's endpoints.",
    "openapi": "/openapi.yaml",
    "documentation": "/docs",
}
PAGE = {
    "page.js": "text/javascript",
    "marks.js": "text/javascript",
    "topics.js": "text/javascript",
    "page.css": "text/css",
}


class Served:
    """The indexes by name, and how long a search may take.

    Args:
        indexes: The indexes.
        timeout: Seconds, waiting included.
    """

    def __init__(self, indexes: Mapping[str, ServedIndex], timeout: float = 30.0) -> None:
        self.indexes = indexes
        self._timeout = timeout

    def index(self, name: str) -> ServedIndex:
        """The index of a name; no other folder is opened for anybody.

        Raises:
            BadRequest: None is served by that name.
        """
        try:
            return self.indexes[name]
        except KeyError:
            raise BadRequest(f"Index not configured for this server: {name}") from None

    async def search(self, index: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a search.

        Raises:
            BadRequest, Overloaded, TimeoutError: As the status of the answer will say.
        """
        return await self._answer(index, Search.of(values))

    async def explain(self, index: str, docid: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the score of a document is made of; errors as in `search`, and NotFound."""
        return await self._answer(index, explanation_of(docid, values))

    async def _answer(self, index: str, search: Search) -> dict[str, Any]:
        job = self.index(index).submit(search)
        return await asyncio.wait_for(asyncio.wrap_future(job), self._timeout)

    async def document(self, index: str, docid: str, values: Mapping[str, Any]) -> Any:
        """A stored document, shown as `values` say."""
        shown = Shown.of(values)
        if not docid.strip():
            raise BadRequest("Path parameter 'docid' is required")
        return await asyncio.to_thread(
            detached(self.index(index).document), utf8(docid, "docid"), shown
        )


def make_app(served: Served, limits: Limits | None = None, mcp_app: Any = None) -> Guard:
    """Make the ASGI application; what it serves is closed when it shuts down.

    Args:
        served: The indexes.
        limits: What requests may be.
        mcp_app: An application for `/mcp`, whose lifespan is this one's.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if mcp_app is not None:
                await stack.enter_async_context(mcp_app.lifespan(app))
            yield
        for index in served.indexes.values():
            await asyncio.to_thread(detached(index.close))

    # FastAPI's own page of documentation loads its script from another host.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    _answer_errors(app)
    _add_endpoints(app, served)
    if mcp_app is not None:
        app.router.routes.append(Route("/mcp", endpoint=mcp_app))
    _add_pages(app, served, metrics)
    return Guard(app, limits or Limits(), metrics)


def _add_endpoints(app: FastAPI, served: Served) -> None:
    @app.get("/v1/{index:path}/search")
    async def search(request: Request, index: str) -> JSONResponse:
        parameters = request.query_params
        values: dict[str, Any] = {name: parameters[name] for name in parameters}
        if "rerank" in values:
            values["rerank"] = parameters.getlist("rerank")
        return JSONResponse(await served.search(unquote(index), values))

    @app.post("/v1/{index:path}/search")
    async def search_by_body(request: Request, index: str) -> JSONResponse:
        try:
            values = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise BadRequest("the body is no JSON") from None
        if not isinstance(values, dict):
            raise BadRequest("the body is no JSON object")
        return JSONResponse(await served.search(unquote(index), values))

    @app.get("/v1/{index:path}/doc/{docid}")
    async def document(request: Request, index: str, docid: str) -> JSONResponse:
        name, wanted = unquote(index), unquote(docid)
        doc = await served.document(name, wanted, request.query_params)
        return JSONResponse({"api": "v1", "index": name, "docid": wanted, "doc": doc})

    @app.get("/v1/{index:path}/explain/{docid}")
    async def explain(request: Request, index: str, docid: str) -> JSONResponse:
        name, wanted = unquote(index), unquote(docid)
        return JSONResponse(await served.explain(name, wanted, request.query_params))

    @app.get("/v1/{index:path}/topics")
    async def topics(index: str) -> JSONResponse:
        return JSONResponse(served.index(unquote(index)).topics())

    @app.get("/v1/indexes")
    async def indexes() -> JSONResponse:
        return JSONResponse({"api": "v1", "indexes": [i.about() for i in served.indexes.values()]})


def _add_pages(app: FastAPI, served: Served, metrics: Metrics) -> None:
    files = resources.files("hypserini.serve") / "static"

    @app.get("/")
    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse((files / "page.html").read_text("utf-8"))
        return JSONResponse(ABOUT)

    @app.get("/{name}", include_in_schema=False)
    async def page(name: str) -> Response:
        if name == "health":
            return JSONResponse({"status": "ok", "indexes": list(served.indexes)})
        if name == "metrics":
            waiting = [(index.name, len(index.queue)) for index in served.indexes.values()]
            return Response(metrics.text(waiting), media_type=CONTENT_TYPE)
        if name in ("openapi.json", "openapi.yaml"):  # JSON is YAML
            return JSONResponse(SCHEMA, media_type=f"application/{name[8:]}")
        if name == "docs":
            text = html.escape(json.dumps(SCHEMA, indent=2))
            return HTMLResponse(f"<!doctype html><title>hypserini</title><pre>{text}</pre>")
        if name in PAGE:
            return Response((files / name).read_bytes(), media_type=PAGE[name])
        raise HTTPException(404)


def _answer_errors(app: FastAPI) -> None:
    """Answer errors as `{"error": ...}`, which tells nothing of the machine; log what is ours."""

    def error(status: int, message: str, **headers: str) -> JSONResponse:
        return JSONResponse({"error": message}, status, headers)

    @app.exception_handler(BadRequest)
    async def bad_request(request: Request, raised: Exception) -> JSONResponse:
        return error(400, str(raised))

    @app.exception_handler(NotFound)
    async def not_found(request: Request, raised: Exception) -> JSONResponse:
        return error(404, str(raised))

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, raised: Exception) -> JSONResponse:
        return error(503, str(raised), **{"Retry-After": str(RETRY_AFTER)})

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, raised: Exception) -> JSONResponse:
        return error(400, "the body ended too early")  # which nobody reads

    @app.exception_handler(TimeoutError)
    async def timed_out(request: Request, raised: Exception) -> JSONResponse:
        return error(504, "the search took too long")

    @app.exception_handler(HTTPException)
    async def by_starlette(request: Request, raised: HTTPException) -> JSONResponse:
        messages = {
            404: "Expected route /v1/{index}/search or /v1/{index}/doc/{docid}",
            405: "Only GET is supported",
        }
        return error(raised.status_code, messages.get(raised.status_code, str(raised.detail)))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, raised: Exception) -> JSONResponse:
        logger.error("%s", faults.sentence(raised) or "unforeseen", exc_info=raised)
        return error(500, "Internal server error")
