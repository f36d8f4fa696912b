"""Characters, ids and numbers, wherever they come from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypserini.formats.values import (
    LONGEST_ID,
    Malformed,
    check_id,
    check_number,
    clean,
    parse_json,
    parse_number,
)

QUICK = settings(max_examples=200, deadline=None, database=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("naïve 😀", "naïve 😀"),
        ("half \ud83d of one", "half \ufffd of one"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a\0b", "a\ufffdb"),
        ("é\0\ud800", "é\ufffd\ufffd"),
    ],
)
def test_what_no_file_can_hold_is_replaced(text: str, expected: str) -> None:
    assert clean(text) == expected
    assert clean(parse_json(f'"{text}"') if text.isprintable() else text) == expected


@QUICK
@given(st.text(st.characters()))
def test_clean_text_is_utf8_without_nul_and_stays(text: str) -> None:
    found = clean(text)
    assert "\0" not in found
    assert found.encode().decode() == found
    assert clean(found) == found


@QUICK
@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters())))
def test_an_id_is_one_word_or_refused(value: object) -> None:
    try:
        found = check_id(value)
    except Malformed:
        return
    assert found.split() == [found]
    assert found.encode().decode() == found
    assert len(found) <= LONGEST_ID


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not a string or a whole number but None"),
        (True, "not a string"),
        (1.0, "not a string"),
        (float("nan"), "not a string"),
        (["a"], "not a string"),
        ("", "the id is empty"),
        (" \u3000", "the id is empty"),
        ("a b", "'a b' contains white space"),
        (" a", "contains white space"),
        ("a\u00a0b", "contains white space"),
        ("a\x1cb", "contains white space"),
        ("x" * 8192, "longer than 8,191 characters"),
    ],
)
def test_what_is_no_id(value: object, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        check_id(value)


def test_a_number_that_python_cannot_write_is_no_id() -> None:
    with pytest.raises(Malformed, match="but a number of 20,001 bits"):
        check_id(1 << 20_000)


def test_ids_keep_their_form() -> None:
    assert [check_id(value) for value in (7, -1, "007", "T12", "é", "a\ud800", 10**400)] == [
        *("7", "-1", "007", "T12", "é", "a\ufffd"),
        "1" + "0" * 400,
    ]


def test_numbers() -> None:
    assert parse_number("score", "-1e3") == -1000
    assert parse_number("score", "inf") == float("inf")
    assert check_number("score", 3) == 3.0
    for text in ("", "two", "nan", "1_0", "0x1", "1,5", "9" * 4000 + "x"):
        with pytest.raises(Malformed, match=r"the score .* is not a number"):
            parse_number("score", text)
    for value in (None, True, "1", [1], float("nan"), 10**400):
        with pytest.raises(Malformed, match=r"the score .* is not a number"):
            check_number("score", value)
