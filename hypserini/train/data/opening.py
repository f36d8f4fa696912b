"""Opening what a configuration names as training and validation data."""

from __future__ import annotations

from hypserini.errors import TrainingError
from hypserini.train.data.beir import BeirFolder
from hypserini.train.data.dataset import Source, TrainingData
from hypserini.train.data.hub import HubRows
from hypserini.train.data.json_lines import JsonLines
from hypserini.train.data.judged_run import JudgedRun
from hypserini.train.data.section import BY_DOCID, DataSection
from hypserini.train.data.selection import Selection
from hypserini.train.data.text_store import TextStore
from hypserini.train.data.triples import Triples, check_columns


def training_data(
    section: DataSection, *, labels: bool, seed: int, source: str, by_docid: bool = False
) -> TrainingData:
    """Open the examples to train on and check them all.

    Args:
        section: the configuration.
        labels: a loss needs the teacher's scores.
        seed: of the drawing; with the epoch and the position it decides alone.
        source: the configuration's name, for messages.
        by_docid: examples name documents whose vectors are there already.

    Raises:
        TrainingError: the data are missing or malformed; names file, line and field.
    """
    return _open(section, "training", labels, seed, source, by_docid)


def validation_data(
    section: DataSection, *, labels: bool, seed: int, source: str, by_docid: bool = False
) -> TrainingData | None:
    """Open the examples whose loss is validated; None without any. See `training_data`."""
    if section.kind("validation") is None:
        return None
    return _open(section, "validation", labels, seed, source, by_docid)


def _open(
    section: DataSection, purpose: str, labels: bool, seed: int, source: str, by_docid: bool
) -> TrainingData:
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
        _source(section, purpose, selection, source, by_docid),
        selection,
        seed=seed,
        redraw=purpose == "training",
    )


def _source(
    section: DataSection, purpose: str, selection: Selection, source: str, by_docid: bool
) -> Source:
    kind = section.kind(purpose)
    if by_docid and kind not in BY_DOCID:
        raise TrainingError(
            f"{source}: data_config.{purpose}_{kind} gives texts, but model_config has "
            f"passage_vectors: name documents by id in {purpose}_data_jsonl or {purpose}_qrels."
        )
    if kind == "qrels" and not by_docid:
        raise TrainingError(
            f"{source}: data_config.{purpose}_qrels names documents by id, and model_config has no "
            "passage_vectors: name their vectors there, or give texts."
        )
    value = getattr(section, f"{purpose}_{kind}")
    split = getattr(section, f"{purpose}_data_split")
    if kind == "data_jsonl":
        paths = value if isinstance(value, list) else [value]
        return JsonLines(paths, selection, section.score_field, by_docid=by_docid)
    if kind == "qrels":
        queries, run = (section.path_of(purpose, name) for name in ("queries", "run"))
        assert queries is not None
        assert run is not None
        return JudgedRun(value, queries, run, selection)
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
