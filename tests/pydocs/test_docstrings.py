"""The collection maker, on packages that the test writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hypserini.errors import CollectionError
from hypserini.pydocs.docstrings import (
    name_in_words,
    parse_source,
    read_docstrings,
    split_summary,
    write_collection,
)

READERS = '''
"""Readers of tables that lie in text files."""
import a_module_that_does_not_exist
raise SystemExit("a source that is run would stop the test")

def read_table(path, *, separator=","):
    """Read a table from a text file.

    The separator stands between the cells of a row, and the first row names the columns.
    """
    def inner():
        """Nobody outside of the function can see this text."""

def _private():
    """What begins with an underscore is not for the public to see."""

class TableReader:
    """Reads one table after the other from the same file."""
    def __init__(self, path, chunk_rows=10):
        pass
    def next_table(self):
        """The next table, or nothing at the end of the file."""
    if True:
        async def close(self):
            """Close the file and forget everything that was read."""

def short():
    """Too short."""

add_newdoc("tables.fast", "parse_row", """parse_row(line)

Parse one row of a table into its cells.
""")
add_docstr(tables.fast.sum_rows, "sum_rows(rows)\\n\\n" + "Add up {n} rows.".format(n=1))
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    package = tmp_path / "site" / "tables"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "readers.py").write_text(READERS)
    (package / "broken.py").write_text(
        'def oops(:\n    """A text in a file that does not parse."""\n'
    )
    (package / "tests" / "help.py").write_text('"""Tests are not documentation of anything."""\n')
    (package / "zcopy.py").write_text(
        'def copy_of_read_table():\n    """Read a table from a text file.\n\n'
        "    The separator stands between the cells of a row, "
        "and the first row names the columns.\n"
        '    """\n'
    )
    (tmp_path / "site" / "alone.py").write_text('"""A module that is a package all by itself."""\n')
    return tmp_path / "site"


def test_every_public_name_once_without_running_anything(root: Path) -> None:
    found = {d.docid: d for d in read_docstrings([root], processes=1)}
    assert list(found) == [
        "alone",
        "tables.readers",
        "tables.readers.read_table",
        "tables.readers.TableReader",
        "tables.readers.TableReader.next_table",
        "tables.readers.TableReader.close",
        "tables.fast.parse_row",
        "tables.fast.sum_rows",
    ]
    table = found["tables.readers.read_table"]
    assert table.package == "tables"
    assert table.signature == "(path, separator)"
    assert table.summary == "Read a table from a text file."
    assert table.rest.startswith("The separator stands")
    assert found["tables.readers.TableReader"].signature == "(path, chunk_rows)"
    assert found["tables.fast.parse_row"].summary == "Parse one row of a table into its cells."


def test_worker_processes_change_nothing(root: Path) -> None:
    for n in range(80):  # more than one batch of files
        (root / f"module{n:02}.py").write_text(f'"""The module that has number {n} of them all."""')
    alone = list(read_docstrings([root], processes=1))
    assert len(alone) == 88
    assert list(read_docstrings([root], processes=2)) == alone


def test_packages_can_be_left_out(root: Path) -> None:
    assert [d.docid for d in read_docstrings([root], processes=1, keep="alone".__eq__)] == ["alone"]


def test_the_collection_is_pyserini_json(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "collection" / "docs.jsonl"
    hidden = frozenset({"tables.readers.read_table"})
    count = write_collection(read_docstrings([root], processes=1), path, without_summary=hidden)
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(documents) == count == 8
    by_id = {d["id"]: d for d in documents}
    assert set(documents[0]) == {"id", "contents", "title", "package"}
    assert "Read a table from" not in by_id["tables.readers.read_table"]["contents"]
    assert "separator stands between" in by_id["tables.readers.read_table"]["contents"]
    assert by_id["tables.readers.TableReader.close"]["contents"].startswith("table reader close\n")
    assert "Close the file" in by_id["tables.readers.TableReader.close"]["contents"]


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="nowhere"):
        list(read_docstrings([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    ("text", "name", "summary", "rest"),
    [
        ("One line only.", "f", "One line only.", ""),
        ("Two sentences here. The second one.", "f", "Two sentences here.", "The second one."),
        ("See e.g. Knuth for more.\n\nRest.", "f", "See e.g. Knuth for more.", "Rest."),
        ("f(x) -> y\n\nDouble the x.\n\nMore.", "f", "Double the x.", "f(x) -> y\n\nMore."),
        ("Heading\n=======\n\nBody.", "m", "Heading", "Body."),
        ("Broken over\nlines\n\nBody.", "m", "Broken over lines", "Body."),
    ],
)
def test_split_summary(text: str, name: str, summary: str, rest: str) -> None:
    assert split_summary(text, name) == (summary, rest)


def test_names_in_words() -> None:
    assert name_in_words("pandas.core.frame.DataFrame.to_csv") == "data frame to csv"
    assert name_in_words("http.server.HTTPServer") == "server http server"


def test_sources_that_cannot_be_parsed_give_nothing() -> None:
    assert list(parse_source(b"\x00\xff", "m", "m")) == []
    assert list(parse_source(b"(" * 5000, "m", "m")) == []
