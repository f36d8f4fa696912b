"""YAML's odd values: each is a value or one sentence."""

from __future__ import annotations

import json
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypserini.formats.values import Malformed
from hypserini.train.recipe.yaml_text import parse_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{here}: &{here} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, here in zip(string.ascii_lowercase, string.ascii_lowercase[1:], strict=False)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{here}: &{here} {{<<: [*{before}, *{before}, *{before}]}}\n"
    for before, here in zip(string.ascii_lowercase, string.ascii_lowercase[1:], strict=False)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# nothing", None),
        ("a: 1", {"a": 1}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {k: 1}\nb: {<<: *x, l: 2}", {"a": {"k": 1}, "b": {"k": 1, "l": 2}}),
        ("2.0e-5", 2e-5),
        ("'2020-13-45'", "2020-13-45"),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert parse_yaml(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2020-13-45",
        "2020-02-30 25:61:61",
        "0b_",
        "0x_",
        "!!int ''",
        "!!int x",
        "!!float x",
        "!!bool maybe",
        "!!timestamp x",
        "!!null [",
        "!!binary é",
        "!!python/object/apply:os.system [ls]",
        "!!set [a]",
        "{[a]: b}",
        "9" * 5000,
        "a: *b",
        "a: 1\n  b: 2",
        "\t- a",
        "a: b: c",
        "--- a\n--- b",
        "\0",
        "\ud800",
        "&a [*a]",
        "&a {b: {c: *a}}",
        "[" * 100_000,
        "{a: " * 3000,
        "- " * 3000,
        "[" * 60 + "]" * 60,
        BOMB,
        MERGES,
        '"' + "x" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_refused(text: str) -> None:
    started = time.process_time()  # the machine may have other work
    with pytest.raises(Malformed, match="no YAML") as caught:
        parse_yaml(text)
    assert len(str(caught.value)) < 500
    assert time.process_time() - started < 5


@settings(max_examples=300, deadline=None, database=None)
@given(st.text("abn0123456789-_:.,+ex!&*<>{}[]'\"# \n~TZ", max_size=40))
def test_any_text_is_a_value_or_malformed(text: str) -> None:
    try:
        value = parse_yaml(text)
    except Malformed:
        return
    json.dumps(value, default=str, skipkeys=True)
