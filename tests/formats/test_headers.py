from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypserini.formats.headers import (
    DOCUMENT_ID,
    GRADE,
    QUERY_ID,
    SCORE,
    TextTable,
    find_columns,
    unquoted,
)


@pytest.mark.parametrize(
    "line",
    [
        "qid\tquery",
        "query_id\ttext",
        "id\ttext\ttitle",
        "ID\tTitle\tText",
        "#qid\tquery",
        '"docid"\t"contents"',
        "topic-id\tQuestion",
    ],
)
def test_lines_that_name_columns(line: str) -> None:
    assert TextTable.of(line) is not None


@pytest.mark.parametrize(
    "line", ["1\tquery", "id\t7", "text\tid", "id", "", "q1\tid text", "who\twhat", "idle\ttext"]
)
def test_lines_that_are_rows(line: str) -> None:
    assert TextTable.of(line) is None


def test_rows_are_read_by_their_names() -> None:
    table = TextTable.of("docid\ttext\ttitle")
    assert table is not None
    assert table.row("1\ta\tb") == {"id": "1", "text": "a", "title": "b"}
    assert table.row('1\t"He said ""no"""\tb')["text"] == 'He said "no"'
    assert table.row('1\t"one\ttwo"\tb') == {"id": "1", "text": "one\ttwo", "title": "b"}
    assert table.row('1\t"Quoted" is a word\tb')["text"] == '"Quoted" is a word'
    assert table.row("1\ta\tb\tc")["title"] == "b\tc"
    assert table.row("1\ta") == {"id": "1", "text": "a"}


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=2))
def test_quoted_columns_come_back(columns: list[str]) -> None:
    names = ["id", "text", *(f"column{n}" for n in range(2, len(columns)))]
    table = TextTable.of("\t".join(names))
    assert table is not None
    line = "\t".join('"' + column.replace('"', '""') + '"' for column in columns)
    assert list(table.row(line).values()) == columns
    assert all(unquoted(column) in (column, column[1:-1].replace('""', '"')) for column in columns)


def test_columns_of_ids_and_numbers() -> None:
    assert find_columns(["query-id", "corpus-id", "score"], QUERY_ID, DOCUMENT_ID, GRADE) == (
        0,
        1,
        2,
    )
    assert find_columns(["docno", "rank", "Score", "qid"], QUERY_ID, DOCUMENT_ID, SCORE) == (
        3,
        0,
        2,
    )
    assert find_columns(["1", "Q0", "docid", "1", "2", "t"], QUERY_ID, DOCUMENT_ID, SCORE) is None
    assert find_columns([], QUERY_ID) is None
