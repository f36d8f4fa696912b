"""The description of the endpoints, as OpenAPI."""

from __future__ import annotations

from typing import Any

from hypserini.serve.requests import MODES, MOST_HITS, WORDS


def _parameter(name: str, place: str, told: str, **schema: Any) -> dict[str, Any]:
    required = place == "path" or name == "query"
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": told,
        "schema": schema or {"type": "string"},
    }


def _responses(what: str, statuses: str) -> dict[str, Any]:
    reasons = {
        "400": "A parameter is missing, unknown or out of bounds.",
        "401": "The token is missing or wrong.",
        "404": "There is no such document.",
        "413": "The body is too large.",
        "503": "As many requests wait as may; try again after Retry-After seconds.",
        "504": "The search took too long.",
    }
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
    answers = {
        status: {"description": reasons[status], "content": error} for status in statuses.split()
    }
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{what}"}}}
    return {"200": {"description": "The answer.", "content": content}, **answers}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


_STRING = {"type": "string"}
_INDEX = _parameter("index", "path", "The name of a served index.")
_SHOWN = [
    _parameter("parse", "query", "Show parsed documents, or what is stored.", type="boolean"),
    _parameter(
        "max_doc_length", "query", "Characters shown of a text; needs parse.", type="integer"
    ),
]
_SEARCH = [
    _parameter("query", "query", "The text to search for."),
    _parameter(
        *("hits", "query", "Hits to return."),
        type="integer",
        minimum=1,
        maximum=MOST_HITS,
        default=10,
    ),
    _parameter("k1", "query", "BM25's k1, with b; modes bm25 and hybrid.", type="number"),
    _parameter("b", "query", "BM25's b, with k1.", type="number"),
    *_SHOWN,
    _parameter("offset", "query", "Hits to skip.", type="integer", default=0),
    _parameter("mode", "query", "How to search.", type="string", enum=[*MODES], default="auto"),
    _parameter("filter", "query", "A query in Lucene's syntax; only what matches is returned."),
    _parameter(
        *("rerank", "query", "Rank these documents alone, by the q-net."),
        type="array",
        items=_STRING,
    ),
    _parameter("qid", "query", "The judged topic that the query is: the answer tells nDCG@10."),
    _parameter("cost", "query", "Tell what the search cost.", type="boolean", default=False),
]

_DOCID = _parameter("docid", "path", "The docid.")
_WORDS = _parameter(
    *("words", "query", "Whose words are traced."), type="string", enum=[*WORDS], default="all"
)

SCHEMA: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "hypserini", "version": "v1"},
    "security": [{}, {"ApiKeyAuth": []}, {"BearerAuth": []}],
    "paths": {
        "/v1/{index}/search": {
            "get": {
                "operationId": "searchV1",
                "summary": "Search an index",
                "parameters": [_INDEX, *_SEARCH],
                "responses": _responses("SearchResponse", "400 401 503 504"),
            },
            "post": {
                "operationId": "searchByBodyV1",
                "summary": "Search an index, with the parameters in a body",
                "parameters": [_INDEX],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": _object(
                                "query", **{each["name"]: each["schema"] for each in _SEARCH}
                            )
                        }
                    },
                },
                "responses": _responses("SearchResponse", "400 401 413 503 504"),
            },
        },
        "/v1/{index}/doc/{docid}": {
            "get": {
                "operationId": "getDocumentV1",
                "summary": "Fetch a document",
                "parameters": [_INDEX, _DOCID, *_SHOWN],
                "responses": _responses("DocumentResponse", "400 401 404"),
            }
        },
        "/v1/{index}/explain/{docid}": {
            "get": {
                "operationId": "explainV1",
                "summary": "What the q-net's score of a document is made of",
                "parameters": [
                    _INDEX,
                    _parameter("docid", "path", "The docid."),
                    _SEARCH[0],
                    _WORDS,
                ],
                "responses": _responses("ExplanationResponse", "400 401 404 503 504"),
            }
        },
        "/v1/{index}/topics": {
            "get": {
                "operationId": "topicsV1",
                "summary": "The judged topics of an index",
                "parameters": [_INDEX],
                "responses": _responses("TopicsResponse", "400 401"),
            }
        },
        "/v1/indexes": {
            "get": {
                "operationId": "indexesV1",
                "summary": "What is served",
                "responses": _responses("IndexesResponse", "401"),
            }
        },
    },
    "components": {
        "securitySchemes": {
            "ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "BearerAuth": {"type": "http", "scheme": "bearer"},
        },
        "schemas": {
            "ErrorResponse": _object("error", error=_STRING),
            "Candidate": _object(
                "docid score rank doc",
                docid=_STRING,
                score={"type": "number"},
                rank={"type": "integer", "minimum": 1},
                doc={},
            ),
            "SearchResponse": _object(
                "api index query candidates",
                api=_STRING,
                index=_STRING,
                query=_object("text", text=_STRING),
                candidates={"type": "array", "items": {"$ref": "#/components/schemas/Candidate"}},
                cost={"type": "object"},
                judged=_object(
                    "qid nDCG@10 relevant grades",
                    **{"qid": _STRING, "nDCG@10": {"type": "number"}},
                    relevant={"type": "integer"},
                    grades={"type": "object", "additionalProperties": {"type": "integer"}},
                ),
            ),
            "TopicsResponse": _object(
                "api index qrels topics",
                api=_STRING,
                index=_STRING,
                qrels={"type": ["string", "null"]},
                topics={
                    "type": "array",
                    "items": _object("qid text", qid=_STRING, text=_STRING),
                },
            ),
            "DocumentResponse": _object(
                "api index docid doc", api=_STRING, index=_STRING, docid=_STRING, doc={}
            ),
            "ExplanationResponse": _object(
                "api index query docid explanation",
                api=_STRING,
                index=_STRING,
                query=_object("text", text=_STRING),
                docid=_STRING,
                explanation={"type": "object"},
            ),
            "IndexesResponse": _object(
                "api indexes", api=_STRING, indexes={"type": "array", "items": {"type": "object"}}
            ),
        },
    },
}
