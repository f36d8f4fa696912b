"""What a commit notes of vectors that were read, and what is made of a note that is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hypserini.errors import IndexingError
from hypserini.index.metadata import VECTORS_FROM
from hypserini.index.vector_progress import VectorProgress

MADE = VectorProgress(["a", "b"], "hnsw", None, 7, "d7")


def test_what_is_noted_is_read() -> None:
    noted = MADE.to_user_data()[VECTORS_FROM]
    assert VectorProgress.from_user_data(noted, Path("ix")) == MADE


@pytest.mark.parametrize(
    "wrong",
    [{"documents": -1}, {"documents": True}, {"documents": "7"}, {"paths": "a"}, {"last": None}],
)
def test_a_damaged_note_is_refused(wrong: dict[str, object]) -> None:
    noted = json.loads(MADE.to_user_data()[VECTORS_FROM])
    with pytest.raises(IndexingError, match=r"ix\.building.*--overwrite"):
        VectorProgress.from_user_data(json.dumps(noted | wrong), Path("ix.building"))
