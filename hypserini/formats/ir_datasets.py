"""Queries, judgements and documents of ir_datasets by name: `irds:beir/nfcorpus/test`."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypserini.errors import HypseriniError, named, shorten
from hypserini.formats.reading import placed
from hypserini.formats.values import Malformed, check_id, clean

PREFIX = "irds:"
# Names of collections that Pyserini's users know, and what ir_datasets calls them.
COLLECTIONS = {"msmarco-v1-passage": "msmarco-passage"}


class DatasetError(HypseriniError):
    """A data set that is not known, cannot be obtained, or lacks what is asked for."""


def is_dataset(name: str) -> bool:
    """Whether a name is that of a data set."""
    return name.startswith(PREFIX)


def is_collection(name: str) -> bool:
    """Whether a name is that of a data set, or of a collection that is obtained as one."""
    return is_dataset(name) or name in COLLECTIONS


def read_queries(name: str) -> list[tuple[str, str]]:
    """The ids and texts of a data set's queries, in its order.

    Raises:
        DatasetError: ir_datasets is not installed, does not know the name or cannot obtain it, or
            the data set has no queries, or one that cannot be used.
    """
    dataset = _open(name, "queries")
    queries = []
    with _obtaining(name, "queries"):
        for number, query in enumerate(dataset.queries_iter(), 1):
            with placed(f"{name}, query {number}", DatasetError):
                text = clean(" ".join((query.default_text() or "").split()))
                if not text:
                    raise Malformed("it has no text.")
                queries.append((check_id(query.query_id), text))
    return queries


def read_judgements(name: str) -> dict[str, dict[str, int]]:
    """A data set's judgements: query id -> document id -> grade.

    Raises:
        DatasetError: As `read_queries`.
    """
    dataset = _open(name, "qrels")
    judgements: dict[str, dict[str, int]] = {}
    with _obtaining(name, "qrels"):
        for number, judgement in enumerate(dataset.qrels_iter(), 1):
            with placed(f"{name}, judgement {number}", DatasetError):
                grades = judgements.setdefault(check_id(judgement.query_id), {})
                grades[check_id(judgement.doc_id)] = int(judgement.relevance)
    return judgements


class DatasetDocuments:
    """The documents of a data set, as ir_datasets has them.

    Args:
        name: `irds:` and a name, or one of COLLECTIONS.

    Raises:
        DatasetError: As `read_queries`, of documents.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._dataset = _open(name, "docs")

    @property
    def count(self) -> int | None:
        """How many there are, where that is known."""
        with _obtaining(self.name, "docs"):
            return self._dataset.docs_count()

    def read(self, skip: int = 0, fields: Sequence[str] | None = None) -> Iterator[tuple[str, str]]:
        """Yield the ids and texts of the documents after the first `skip`.

        Args:
            skip: how many are left out, without being read.
            fields: what the texts are made of; None: what the data set holds for its text.
        """
        with _obtaining(self.name, "docs"):
            documents = self._dataset.docs_iter()
            documents = documents[skip:] if skip else documents
            for number, document in enumerate(documents, skip + 1):
                with placed(f"{self.name}, document {number}", DatasetError):
                    yield check_id(document.doc_id), clean(_text_of(document, fields))


def _text_of(document: Any, fields: Sequence[str] | None) -> str:
    if not fields:
        return document.default_text()
    parts = [getattr(document, field, None) for field in fields]
    if all(part is None for part in parts):
        raise Malformed(
            f"none of the chosen fields {named(fields)} (its fields are {named(document._fields)}):"
            " choose others with --fields."
        )
    return " ".join(str(part) for part in parts if part)


def _open(name: str, what: str) -> Any:
    known = COLLECTIONS.get(name, name.removeprefix(PREFIX))
    with _obtaining(name, what):
        try:
            ir_datasets = importlib.import_module("ir_datasets")
        except ImportError as error:
            raise DatasetError(
                f"{name} is obtained through ir_datasets, which is not installed: run "
                f"`pip install hypserini[datasets]`, or {_instead(what)}."
            ) from error
        try:
            dataset = ir_datasets.load(known)
        except KeyError as error:
            near = difflib.get_close_matches(known, list(ir_datasets.registry), 1)
            hint = f": did you mean {PREFIX}{near[0]}?" if near else "."
            raise DatasetError(f"ir_datasets knows no {known}{hint}") from error
        if not getattr(dataset, f"has_{what}")():
            raise DatasetError(f"{name} has no {what} in ir_datasets: choose one of its subsets.")
    return dataset


@contextmanager
def _obtaining(name: str, what: str) -> Iterator[None]:
    """Make one sentence of whatever stops ir_datasets from obtaining a data set.

    There is no error of its own: a download that fails ends as RuntimeError, OSError or what the
    HTTP library raises, and each data set's own parser raises what it pleases.
    """
    try:
        yield
    except HypseriniError:
        raise
    except Exception as error:
        reason = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
        raise DatasetError(
            f"{name} cannot be obtained by ir_datasets ({shorten(reason, 160)}): try again with a "
            f"connection to the web, or {_instead(what)}."
        ) from error


def _instead(what: str) -> str:
    if what == "docs":
        return "give the path of the collection (MS MARCO's collection.tsv)"
    return "give a file"
