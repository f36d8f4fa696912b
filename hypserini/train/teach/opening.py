"""Opens teachers by what the command line calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypserini.errors import TrainingError, named, shown
from hypserini.train.teach.fusion import Fusion
from hypserini.train.teach.teacher import BATCH, Teacher
from hypserini.train.teach.teachers import Bm25Teacher, EncoderTeacher, RunTeacher, TextTeacher

KINDS = ("cross-encoder", "splade", "bi-encoder", "encoder", "bm25", "run")
_OVER_INDEX = ("encoder", "bm25")


def open_teacher(
    specs: Sequence[str],
    *,
    index: str | None = None,
    model: str | None = None,
    weights: Sequence[float] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    max_length: int | None = None,
    batch_size: int = BATCH,
    standardised: bool = False,
    **of_cross_encoder: Any,
) -> Teacher:
    """Open a teacher, or several fused.

    Args:
        specs: Each a kind of `KINDS`, and after an equals sign its name: a model or a file.
        index: Whose vectors and texts are scored; needed by `encoder` and `bm25`.
        model: The encoder of the index, where that does not say it.
        weights: Of several.
        device: As `load_model` takes it.
        dtype: As `load_model` takes it.
        max_length: Tokens of a text, or pair of texts.
        batch_size: Texts or pairs at once.
        standardised: Standardise the scores of a single teacher in each example, too.
        of_cross_encoder: `score` and `positive_label`.

    Raises:
        TrainingError: A kind is unknown or lacks its name or index.
        ModelError, IndexingError, RunError: What is named cannot be opened.
    """
    if weights and len(weights) != len(specs):
        raise TrainingError(
            f"{len(specs)} teachers and {len(weights)} weights: give one for each teacher."
        )
    how: dict[str, Any] = {"device": device, "dtype": dtype}
    of_texts = {**how, "max_length": max_length, "batch_size": batch_size}

    def one(spec: str) -> Teacher:
        kind, _, name = spec.partition("=")
        if kind not in KINDS:
            raise TrainingError(f"there is no teacher {shown(kind)}: use one of {named(KINDS)}.")
        if kind in _OVER_INDEX and index is None:
            raise TrainingError(f"the teacher {kind} scores what an index holds: name an --index.")
        if kind not in _OVER_INDEX and not name:
            raise TrainingError(f"the teacher {kind} needs a name: give {kind}=NAME.")
        if kind == "bm25":
            if name:
                raise TrainingError(f"the teacher bm25 is of --index: leave ={shown(name)} out.")
            assert index is not None
            return Bm25Teacher(index)
        if kind == "encoder":
            assert index is not None
            return EncoderTeacher(index, name or model, **how)
        if kind == "run":
            return RunTeacher(name)
        from hypserini.train.teach import bi_encoder, cross_encoder, splade

        if kind == "bi-encoder":
            return TextTeacher(bi_encoder.TextEncoder(name, **of_texts), index)
        if kind == "splade":
            return TextTeacher(splade.Splade(name, **of_texts), index)
        return TextTeacher(cross_encoder.CrossEncoder(name, **of_texts, **of_cross_encoder), index)

    teachers: list[Teacher] = []
    try:
        for spec in specs:
            teachers.append(one(spec))
    except BaseException:
        for teacher in teachers:
            teacher.close()
        raise
    alone = len(teachers) == 1 and not standardised
    return teachers[0] if alone else Fusion(teachers, weights)
