"""Examples of the hub's data sets, or of whatever else the `datasets` library reads."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

from hypserini.errors import TrainingError, named, shown
from hypserini.formats.values import Malformed
from hypserini.train.data.examples import Example, parse_example
from hypserini.train.data.lines import Checking
from hypserini.train.data.selection import Selection

_COLUMNS = ["query", "items"]
_READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".arrow": "arrow"}
_BATCH = 256


class HubRows:
    """The rows of a data set with the columns `query` and `items`; see `json_lines`.

    Every row is checked at once; rows stay on the disk.

    Args:
        name: of the data set on the hub, a folder (of data files, or of `save_to_disk`), or a
            file of JSON lines, Parquet or Arrow.
        split: which split, or a slice of one.
        selection: what will be drawn, which every row must have.
        label_key: the field of an item that holds its score, or None.

    Raises:
        TrainingError: the library is not installed, the data set cannot be obtained, or a row is
            malformed; names data set, row and field.
    """

    def __init__(self, name: str, split: str, selection: Selection, label_key: str | None) -> None:
        self.name = name if split == "train" else f"{name} ({split})"
        self.label_key = label_key
        rows = _load(name, split)
        if missing := [column for column in _COLUMNS if column not in rows.column_names]:
            raise TrainingError(
                f"the data set {self.name} has no column {missing[0]} (its columns are "
                f"{named(rows.column_names)}): see the format in the documentation."
            )
        self._rows = rows.select_columns(_COLUMNS)
        self._check(selection)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, position: int, rng: random.Random) -> Example:
        """The example at `position` with all its items."""
        return self._parse(self._rows[position])

    def _check(self, selection: Selection) -> None:
        if not len(self._rows):
            raise TrainingError(f"the data set {self.name} is empty.")
        number = 0
        with Checking(self.name, "each row's query, items, scores and types", "rows") as checking:
            for table in self._rows.with_format("arrow").iter(_BATCH):
                for row in table.to_pylist():
                    try:
                        selection.check(self._parse(row).items)
                    except Malformed as error:
                        raise TrainingError(
                            f"the data set {self.name}, row {number}: {error}"
                        ) from error
                    number += 1
            checking.count = number

    def _parse(self, row: dict[str, Any]) -> Example:
        items = row["items"]
        if isinstance(items, dict):
            # An older form of the library: a list for each field instead of a list of items.
            if not all(isinstance(values, list | None) for values in items.values()):
                raise Malformed(f"items is no list but {shown(items)}.")
            columns = zip(*[values or [] for values in items.values()], strict=False)
            row = row | {"items": [dict(zip(items, values, strict=True)) for values in columns]}
        return parse_example(row, self.label_key)


def _load(name: str, split: str) -> Any:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise TrainingError(
            f"the data set {name} is read by the library datasets, which is not installed: "
            "pip install 'hypserini[train]'."
        ) from error
    path = Path(name)
    try:
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            saved = datasets.load_from_disk(name)
            if isinstance(saved, datasets.DatasetDict):
                return saved[split]
            if split == "train":
                return saved
            raise KeyError(split)
        if path.is_file():
            plain = Path(name.removesuffix(".gz"))
            reader = _READERS.get(plain.suffix)
            if reader is None:
                raise TrainingError(
                    f"{name} has none of the suffixes {', '.join(_READERS)}: rename it."
                )
            return datasets.load_dataset(reader, data_files=name, split=split)
        return datasets.load_dataset(name, split=split)
    except KeyError as error:
        raise TrainingError(f"the data set {name} has no split {split}.") from error
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise TrainingError(
            f"the data set {name} ({split}) cannot be loaded: {reason or type(error).__name__}"
        ) from error
