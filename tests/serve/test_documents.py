from __future__ import annotations

import json

import pytest

from hypserini.serve.documents import shown_document


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ('{"id": "1", "contents": "text"}', "text"),
        ('{"_id": "1", "title": "t", "text": "x"}', {"title": "t", "text": "x"}),
        ('{"id": "1", "n": 3, "list": [1]}', {"n": "3", "list": [1]}),
        ('{"id": "1", "list": [NaN]}', ["NaN"]),
        ("plain words", "plain words"),
        ("[" * 100_000, "[" * 100_000),
        (None, None),
    ],
)
def test_forms(raw, shown):
    assert shown_document(raw) == shown
    assert shown_document(raw, parse=False) == raw


def test_only_texts_are_cut():
    raw = '{"title": "long title", "contents": "long contents"}'
    assert shown_document(raw, longest=4) == {"title": "long title", "contents": "long"}


def test_what_an_answer_cannot_hold_is_shown_otherwise() -> None:
    raw = '{"id": "1", "contents": "a \\ud83d b", "w": [1e999, {"\\ud800": "\\udc00"}]}'
    shown = shown_document(raw)
    assert shown["contents"] == "a \ufffd b"
    assert shown["w"] == ["inf", {"\ufffd": "\ufffd"}]
    json.dumps(shown, allow_nan=False).encode()


def test_what_is_nested_deeply_is_shown() -> None:
    for depth in (300, 600, 900, 990):
        raw = '{"id": "1", "a": ' + "[" * depth + "]" * depth + ', "b": 1}'
        shown = shown_document(raw)
        assert shown == raw or shown["b"] == "1"
