"""The `data_config` of a training configuration: where the examples are and what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypserini.errors import TrainingError

KINDS = ("data_jsonl", "huggingface_dataset", "triples", "beir", "qrels")
BY_DOCID = ("data_jsonl", "qrels")
"""Kinds that can name documents whose vectors are there already."""
POSITIVE_FILTERS = ("first", "type", "score_above")


@dataclass(slots=True)
class DataSection:
    """What a model is trained on: one of five kinds of data, and another for the validation loss.

    Attributes:
        training_data_jsonl: JSON lines (`data.json_lines`), a file or several; .gz is unpacked.
        training_huggingface_dataset: the same by its name on the hub, or a folder or file that
            the `datasets` library reads.
        training_triples: ids `query positive negative` a line (`data.triples`), whose texts are in
            `training_collection` and `training_queries`.
        training_beir: a folder with corpus.jsonl, queries.jsonl and qrels/ (`data.beir`).
        training_qrels: judgements of `training_queries`, with negatives from `training_run`
            (`data.judged_run`); by docid alone, for a model over `passage_vectors`.
        training_data_split: the split of a hub data set (`train`, `train[:1000]`), or the
            judgements of a BEIR folder.
        triples_columns: what the columns of the triples are, of query, positive, negative,
            positive_score, negative_score and - (left out); by default told by their number.
        positive_filter_type: which items are positives: the `first`, those whose `type` is
            "positive", or those with a score above 0 (`score_above`).
        positive_filter_kwargs: `positive_type`, or `score_threshold` (and `score_key`).
        label_key: the field of an item that holds the teacher's score; null: there is none.
        num_positives_to_sample: positives an example, which come first.
        num_negatives_to_sample: negatives an example, drawn from the other items; from the whole
            corpus for a BEIR folder.
        query_max_length: tokens that a query is cut to.
        document_max_length: tokens that a document is cut to.

    Each `validation_...` is the same for the data whose loss is validated; collection and queries
    are those of the training unless they are named.
    """

    training_data_jsonl: str | list[str] | None = None
    validation_data_jsonl: str | list[str] | None = None
    training_huggingface_dataset: str | None = None
    validation_huggingface_dataset: str | None = None
    training_triples: str | None = None
    validation_triples: str | None = None
    training_collection: str | None = None
    validation_collection: str | None = None
    training_queries: str | None = None
    validation_queries: str | None = None
    triples_columns: list[str] | None = None
    training_beir: str | None = None
    validation_beir: str | None = None
    training_qrels: str | None = None
    validation_qrels: str | None = None
    training_run: str | None = None
    validation_run: str | None = None
    training_data_split: str = "train"
    validation_data_split: str = "train"
    positive_filter_type: str = "first"
    positive_filter_kwargs: dict[str, Any] | None = None
    label_key: str | None = "score"
    num_positives_to_sample: int = 1
    num_negatives_to_sample: int = 0
    query_max_length: int = 32
    document_max_length: int = 512

    def kind(self, purpose: str) -> str | None:
        """Which of KINDS is given for `training` or `validation`; None without any."""
        given = [kind for kind in KINDS if getattr(self, f"{purpose}_{kind}")]
        return given[0] if given else None

    def check(self, source: str) -> None:
        """Check what can be told without opening the data.

        Raises:
            TrainingError: a value cannot be used, or not together with another; names the key.
        """
        where = f"{source}: data_config"
        for purpose in ("training", "validation"):
            keys = [f"{purpose}_{kind}" for kind in KINDS]
            given = [key for key in keys if getattr(self, key)]
            if len(given) > 1:
                raise TrainingError(
                    f"{where} names both {given[0]} and {given[1]}: choose one of them."
                )
            if purpose == "training" and not given:
                raise TrainingError(f"{where} names no {', '.join(keys[:-1])} or {keys[-1]}.")
            names = ("collection", "queries", "run", "data_split")
            for key in (*keys, *(f"{purpose}_{name}" for name in names), "label_key"):
                self._check_name(key, where)
            kind = self.kind(purpose)
            if kind == "data_jsonl" and getattr(self, f"{purpose}_data_split") != "train":
                raise TrainingError(
                    f"{where}.{purpose}_data_split has no meaning for JSON lines: cut the file, or "
                    f"name it as {purpose}_huggingface_dataset."
                )
            if kind == "triples":
                for name in ("collection", "queries"):
                    if not self.path_of(purpose, name):
                        raise TrainingError(
                            f"{where}.{purpose}_triples holds ids: name their texts as "
                            f"{purpose}_{name}."
                        )
            if kind == "qrels":
                for name, what in (("queries", "topics"), ("run", "negatives")):
                    if not self.path_of(purpose, name):
                        raise TrainingError(
                            f"{where}.{purpose}_qrels needs {what}: name them as {purpose}_{name}."
                        )
        columns = self.triples_columns
        if columns is not None and not (
            isinstance(columns, list) and all(isinstance(column, str) for column in columns)
        ):
            raise TrainingError(f"{where}.triples_columns is {columns!r}: give a list of names.")
        self._check_numbers(where)
        if self.positive_filter_type not in POSITIVE_FILTERS:
            raise TrainingError(
                f"{where}.positive_filter_type is {self.positive_filter_type!r}: use one of "
                f"{', '.join(POSITIVE_FILTERS)}."
            )
        self._check_filter(where)

    def path_of(self, purpose: str, name: str) -> str | None:
        """The `collection`, `queries` or `run` of `training` or `validation`."""
        return getattr(self, f"{purpose}_{name}") or getattr(self, f"training_{name}")

    @property
    def score_field(self) -> str | None:
        """The field of an item that holds its score; None: scores are not read."""
        if self.positive_filter_type == "score_above":
            return (self.positive_filter_kwargs or {}).get("score_key", self.label_key or "score")
        return self.label_key

    def _check_name(self, key: str, where: str) -> None:
        value = getattr(self, key)
        given = value if key.endswith("_data_jsonl") and isinstance(value, list) else [value]
        if any(name is not None and not isinstance(name, str) for name in given):
            raise TrainingError(f"{where}.{key} is {value!r}: give a path or a name.")

    def _check_numbers(self, where: str) -> None:
        least = {"num_positives_to_sample": 1, "num_negatives_to_sample": 0}
        least |= {"query_max_length": 1, "document_max_length": 1}
        for key, minimum in least.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
                raise TrainingError(
                    f"{where}.{key} is {value!r}: give a whole number of at least {minimum}."
                )

    def _check_filter(self, where: str) -> None:
        by_filter: dict[str, dict[str, Any]] = {
            "first": {},
            "type": {"positive_type": str},
            "score_above": {"score_key": str, "score_threshold": (int, float)},
        }
        known = by_filter[self.positive_filter_type]
        for key, value in (self.positive_filter_kwargs or {}).items():
            if key not in known:
                raise TrainingError(
                    f"{where}.positive_filter_kwargs: there is no key {key!r} for "
                    f"{self.positive_filter_type}: known are {', '.join(known) or 'none'}."
                )
            if not isinstance(value, known[key]) or isinstance(value, bool):
                raise TrainingError(f"{where}.positive_filter_kwargs.{key} cannot be {value!r}.")
        if self.label_key not in (None, self.score_field):
            raise TrainingError(
                f"{where}.positive_filter_kwargs.score_key is {self.score_field!r} and label_key "
                f"{self.label_key!r}: an item has one score, so name one field."
            )
