from __future__ import annotations

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
