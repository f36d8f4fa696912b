"""Opening what a configuration names as training and validation data."""

from __future__ import annotations

from hypserini.errors import TrainingError
from hypserini.train.data.beir import BeirFolder
from hypserini.train.data.dataset import Source, TrainingData
from hypserini.train.data.hub import HubRows
from hypserini.train.data.json_lines import JsonLines
from hypserini.train.data.section import DataSection
from hypserini.train.data.selection import Selection
from hypserini.train.data.text_store import TextStore
from hypserini.train.data.triples import Triples, check_columns


def training_data(section: DataSection, *, labels: bool, seed: int, source: str) -> TrainingData:
    """Open the examples to train on and check them all.

    Args:
        section: the configuration.
        labels: a loss needs the teacher's scores.
        seed: of the drawing; with the epoch and the position it decides alone.
        source: the configuration's name, for messages.

    Raises:
        TrainingError: the data are missing or malformed; names file, line and field.
    """
    return _open(section, "training", labels, seed, source)


def validation_data(
    section: DataSection, *, labels: bool, seed: int, source: str
) -> TrainingData | None:
    """Open the examples whose loss is validated; None without any. See `training_data`."""
    if section.kind("validation") is None:
        return None
    return _open(section, "validation", labels, seed, source)


def _open(section: DataSection, purpose: str, labels: bool, seed: int, source: str) -> TrainingData:
    section.check(source)
    if section.label_key is None and labels:
        raise TrainingError(
            f"{source}: data_config.label_key is null, but a loss of model_config learns from a "
            "teacher's scores: name the field that holds them."
        )
    if labels and section.num_positives_to_sample + section.num_negatives_to_sample < 2:
        raise TrainingError(
            f"{source}: data_config.num_negatives_to_sample is 0, but a loss of model_config "
            "learns how a teacher's scores of a query's documents differ: draw at least 1."
        )
    selection = Selection.of(section, labels)
    return TrainingData(
        _source(section, purpose, selection, source),
        selection,
        seed=seed,
        redraw=purpose == "training",
    )


def _source(section: DataSection, purpose: str, selection: Selection, source: str) -> Source:
    kind = section.kind(purpose)
    value = getattr(section, f"{purpose}_{kind}")
    split = getattr(section, f"{purpose}_data_split")
    if kind == "data_jsonl":
        paths = value if isinstance(value, list) else [value]
        return JsonLines(paths, selection, section.score_field)
    if kind == "huggingface_dataset":
        return HubRows(value, split, selection, section.score_field)
    if kind == "beir":
        return BeirFolder(value, split, selection)
    if section.triples_columns:
        check_columns(section.triples_columns, f"{source}: data_config")
    collection, queries = (section.path_of(purpose, name) for name in ("collection", "queries"))
    assert collection is not None
    assert queries is not None
    return Triples(
        value,
        section.triples_columns,
        TextStore(collection),
        TextStore(queries, queries=True),
        selection,
    )
