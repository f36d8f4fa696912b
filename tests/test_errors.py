from __future__ import annotations

import pytest

from hypserini.errors import LONGEST, HypseriniError, RunError, named, shorten, shown


def test_a_message_is_one_line_of_bounded_length():
    assert str(RunError("as it is")) == "as it is"
    assert str(RunError("one\n  two")) == "one two"
    message = str(RunError("the place: " + "x" * 10_000 + ": the mend."))
    assert len(message) == LONGEST < 500
    assert message.startswith("the place: x")
    assert message.endswith("x: the mend.")


def test_an_error_keeps_what_it_was_given():
    error = HypseriniError("x" * 1000)
    assert error.args == ("x" * 1000,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b", "'a b'"),
        ("line\nbreak\x1b\ud800", r"'line\nbreak\x1b\ud800'"),
        (None, "None"),
        (10**30, str(10**30)),
        ([1, [2, [3, [4]]]], "[1, [2, [...]]]"),
    ],
)
def test_values_are_shown_as_python_writes_them(value, expected):
    assert shown(value) == expected


def test_no_value_is_too_large_to_be_shown():
    assert shown(1 << 100_000) == "a number of 100,001 bits"
    bomb: object = "x" * 1000
    for _ in range(60):
        bomb = [bomb] * 60
    nest: list[object] = []
    for _ in range(100_000):
        nest = [nest]
    for value in (bomb, nest, dict.fromkeys(range(9), bomb), "é" * 10**6):
        assert len(shown(value)) <= 60
    assert shorten("a" * 50 + "b" * 50, 20) == "a" * 11 + "..." + "b" * 6


def test_names_are_shown_in_a_row():
    assert named(["id", "text"]) == "id, text"
    assert named([]) == "none"
    assert named(["a\nb", 1 << 50_000]) == r"'a\nb', a number of 50,001 bits"
    assert named(map(str, range(100)), 3) == "0, 1, 2, ..."
    assert len(named(["x" * 1000] * 1000)) < 400
