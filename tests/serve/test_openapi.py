"""What the OpenAPI page promises is kept: statuses, and the shapes of answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from http_client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypserini.serve.openapi import SCHEMA

pytest.importorskip("fastapi")
pytest.importorskip("fastmcp")
pytest.importorskip("prometheus_client")
jsonschema = pytest.importorskip("jsonschema")

NO_SUCH_PATH = SCHEMA["paths"]["/v1/{index}/doc/{docid}"]["get"]["responses"]["404"]
"""A path that leads nowhere is answered as a document that is not there."""
FEW = settings(
    max_examples=100,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["graph walk", "doc0007", "contents:heap", "((", "1"]
)
STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "array":
        return st.lists(fitting(schema["items"]), max_size=4)
    least, most = schema.get("minimum", 0), min(schema.get("maximum", 50), 50)
    numbers = {"integer": st.integers(least, most), "number": st.floats(0, 1)}
    return {"string": TEXTS, "boolean": st.booleans(), **numbers}[schema["type"]]


def values_of(schemas: dict[str, Any], strange: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the parameters; all as they are described, or some otherwise."""
    each = {
        name: fitting(schema) | STRANGE if strange else fitting(schema)
        for name, schema in schemas.items()
    }
    query = {"query": each.pop("query")} if "query" in each else {}
    chosen = st.fixed_dictionaries(query, optional=each)
    if strange:
        return st.tuples(chosen, st.dictionaries(TEXTS, STRANGE, max_size=1)).map(
            lambda pair: pair[0] | pair[1]
        )
    return chosen


def in_url(value: Any) -> Any:
    """As a client writes a value: lists are repeated, true is lower case."""
    if isinstance(value, list):
        return [in_url(one) for one in value]
    return json.dumps(value) if not isinstance(value, str) else value.encode(errors="replace")


@st.composite
def requests(draw: Any) -> tuple[str, str, bytes | None, dict[str, Any]]:
    """Method, target, body, and the description of the operation that it is meant for."""
    method, path, operation = draw(st.sampled_from(list(operations())))
    strange = draw(st.booleans())
    parameters: dict[str, dict[str, Any]] = {"path": {}, "query": {}}
    for one in operation.get("parameters", []):
        parameters[one["in"]][one["name"]] = one["schema"]
    for name in parameters["path"]:
        known = "made" if name == "index" else "doc0007"
        value = draw(st.just(known) | TEXTS if strange else st.just(known))
        quoted = quote(quote(value, safe="", errors="replace"), safe="")
        path = path.replace("{" + name + "}", quoted)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        value = draw(
            values_of(schema["properties"], strange) | (STRANGE if strange else st.nothing())
        )
        return method, path, json.dumps(value).encode(), operation
    values = draw(values_of(parameters["query"], strange)) if parameters["query"] else {}
    asked = urlencode(
        {name.encode(errors="replace"): in_url(v) for name, v in values.items()}, True
    )
    return method, f"{path}?{asked}", None, operation


@FEW
@given(requests())
def test_every_answer_is_one_that_is_described(client: Client, request_: Any):
    method, target, body, operation = request_
    status, headers, answer = client.ask(method.upper(), target, body)
    responses = {"404": NO_SUCH_PATH, **operation["responses"]}
    assert str(status) in responses, (method, target, body, answer)
    assert headers["content-type"] == "application/json"
    wanted = responses[str(status)]["content"]["application/json"]["schema"]
    described = {**wanted, "components": SCHEMA["components"]}
    jsonschema.Draft202012Validator(described).validate(json.loads(answer))
