"""Topics and judgements of ir_datasets by name: `irds:beir/nfcorpus/test`."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from hypserini.errors import HypseriniError

PREFIX = "irds:"


class DatasetError(HypseriniError):
    """A data set that is not known, cannot be obtained, or lacks what is asked for."""


def is_dataset(name: str) -> bool:
    """Whether a name is that of a data set."""
    return name.startswith(PREFIX)


def read_queries(name: str) -> list[tuple[str, str]]:
    """The ids and texts of a data set's queries, in its order.

    Raises:
        DatasetError: ir_datasets is not installed, does not know the name or cannot obtain it, or
            the data set has no queries.
    """
    dataset = _open(name, "queries")
    try:
        return [(query.query_id, _plain(query.default_text())) for query in dataset.queries_iter()]
    except OSError as error:  # requests' errors are of this kind, too
        raise _not_obtained(name, error) from error


def read_judgements(name: str) -> dict[str, dict[str, int]]:
    """A data set's judgements: query id -> document id -> grade.

    Raises:
        DatasetError: As `read_queries`.
    """
    dataset = _open(name, "qrels")
    judgements: dict[str, dict[str, int]] = {}
    try:
        for judgement in dataset.qrels_iter():
            grades = judgements.setdefault(judgement.query_id, {})
            grades[judgement.doc_id] = int(judgement.relevance)
    except OSError as error:
        raise _not_obtained(name, error) from error
    return judgements


def _open(name: str, what: str) -> Any:
    try:
        ir_datasets = importlib.import_module("ir_datasets")
    except ImportError as error:
        raise DatasetError(
            f"{name} is obtained through ir_datasets, which is not installed: run "
            "`pip install 'hypserini[datasets]'`, or give a file."
        ) from error
    dataset_name = name.removeprefix(PREFIX)
    try:
        dataset = ir_datasets.load(dataset_name)
    except KeyError as error:
        near = difflib.get_close_matches(dataset_name, list(ir_datasets.registry), 1)
        hint = f": did you mean {PREFIX}{near[0]}?" if near else "."
        raise DatasetError(f"ir_datasets knows no {dataset_name}{hint}") from error
    if not getattr(dataset, f"has_{what}")():
        raise DatasetError(f"{name} has no {what} in ir_datasets: choose one of its subsets.")
    return dataset


def _plain(text: str) -> str:
    return " ".join(text.split())


def _not_obtained(name: str, error: OSError) -> DatasetError:
    return DatasetError(f"{name} cannot be obtained by ir_datasets ({str(error)[:200]}).")
