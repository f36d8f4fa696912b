"""The matrix: which commands make each published figure, and where the figure stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

import yaml

from hypserini.errors import HypseriniError, shown

TABLES = ("offline", "paper", "study")
"""The files of `tables/` beside `common.yaml`; the first needs nothing from the web."""

ALL = "all"


class ReproduceError(HypseriniError):
    """A row that nobody knows, or one that cannot be run."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A published figure.

    Attributes:
        measure: as `hypserini.evaluate` writes it.
        value: the figure.
        tolerance: how far from it is still OK.
        source: paper, table, row and column; or the command that made it.
    """

    measure: str
    value: float
    tolerance: float
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the matrix: its name on the hub, or why there is none."""

    name: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """What is indexed. `{folder}` in its texts, and in a task's, is where `make` writes.

    Attributes:
        collection: what `hypserini.index --collection` takes.
        make: the commands, each a module and flags, that make its files; none for a known name.
        product: the file that is there once they are made.
        index: flags of the index.
    """

    collection: str
    make: tuple[tuple[str, ...], ...] = ()
    product: str = ""
    index: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """Topics with judgements over a collection.

    Attributes:
        collection: its name in the matrix.
        topics: what `hypserini.search --topics` takes.
        qrels: what `hypserini.evaluate --qrels` takes.
        measures: what is computed.
        search: flags of every search of this task.
        changed_topics: FollowIR's topics with the changed instruction.
        changed_qrels: their judgements.
    """

    collection: str
    topics: str
    qrels: str
    measures: tuple[str, ...]
    search: tuple[str, ...] = ()
    changed_topics: str | None = None
    changed_qrels: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        name: how the user calls it.
        table: the file it stands in.
        task: its task's name; empty for a row over other rows.
        model: its model's name in the matrix.
        search: the name of its flags of search.
        of: the rows whose topics it pools, in place of a task.
        expected: the published figures; empty where none is at hand.
        note: what a reader should know.
    """

    name: str
    table: str
    task: str = ""
    model: str = ""
    search: str = "exhaustive"
    of: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Matrix:
    """All tables, and what their rows name."""

    titles: dict[str, str] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    searches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    def choose(self, names: Iterable[str]) -> list[Row]:
        """The rows of some names, in the matrix' order: rows, patterns such as `dl19-*`, tables.

        Raises:
            ReproduceError: a name that fits no row; the nearest is named.
        """
        chosen: set[str] = set()
        for name in names:
            fits = {
                row.name
                for row in self.rows.values()
                if name in (ALL, row.table) or fnmatchcase(row.name, name)
            }
            if not fits:
                near = get_close_matches(name, [*self.rows, *self.titles, ALL], 1)
                hint = f": the nearest is {near[0]}" if near else ""
                raise ReproduceError(f"no row is called {shown(name)}{hint}; --list shows them.")
            chosen |= fits
        return [row for row in self.rows.values() if row.name in chosen]

    def measures(self, row: Row) -> list[str]:
        """What is computed for a row: its task's measures, and what is expected beside them."""
        own: Sequence[str] = self.tasks[row.task].measures if row.task else ()
        return list(dict.fromkeys([*own, *(each.measure for each in row.expected)]))


def load_matrix() -> Matrix:
    """Read the packaged matrix."""
    matrix = Matrix()
    for name in ("common", *TABLES):
        text = (files("hypserini.reproduce") / "tables" / f"{name}.yaml").read_text("utf-8")
        _take(matrix, name, yaml.safe_load(text))
    return matrix


def _take(matrix: Matrix, table: str, value: dict[str, Any]) -> None:
    """Add what a file holds; an unknown key is an error of Python's, for the file is ours."""
    if title := value.pop("title", None):
        matrix.titles[table] = title
    for name, model in value.pop("models", {}).items():
        matrix.models[name] = Model(**model)
    for name, collection in value.pop("collections", {}).items():
        matrix.collections[name] = Collection(**_frozen(collection))
    for name, task in value.pop("tasks", {}).items():
        matrix.tasks[name] = Task(**_frozen(task))
    for name, flags in value.pop("searches", {}).items():
        matrix.searches[name] = tuple(flags)
    for entry in value.pop("rows", []):
        expected = tuple(Expected(**each) for each in entry.pop("expected") or ())
        row = Row(table=table, expected=expected, **_frozen(entry))
        if matrix.rows.setdefault(row.name, row) is not row:
            raise ValueError(f"two rows are called {row.name}")
    if value:
        raise ValueError(f"{table}.yaml has the unknown keys {list(value)}")


def _frozen(value: dict[str, Any]) -> dict[str, Any]:
    return {key: _tuple(each) for key, each in value.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(each) for each in value) if isinstance(value, list) else value
