"""What an index knows of itself survives as strings, and older indexes open."""

import pytest

from hypserini.errors import IndexingError
from hypserini.index.metadata import PREFIX, IndexMetadata, way_to_model
from hypserini.settings import EncodingSettings

MADE = IndexMetadata(
    model="/models/mine",
    fingerprint="f",
    dimension=32,
    pooling="mean",
    max_length=40,
    similarity="COSINE",
    vectors="hnsw",
    collection="corpus",
    consumed=3,
    complete=True,
    l2_norm=False,
    query_prefix="query: ",
    document_prefix="passage: ",
    model_beside="../models/mine",
)


@pytest.mark.parametrize("l2_norm", [None, True, False])
def test_strings_and_back(l2_norm):
    MADE.l2_norm = l2_norm
    assert IndexMetadata.from_user_data(MADE.to_user_data(), "ix") == MADE
    assert MADE.settings == EncodingSettings("mean", l2_norm, "query: ", "passage: ")


def test_indexes_of_before_the_settings_put_nothing_before_their_texts():
    data = MADE.to_user_data()
    for name in ("l2_norm", "query_prefix", "document_prefix", "model_beside"):
        del data[PREFIX + name]
    older = IndexMetadata.from_user_data(data, "ix")
    assert older is not None
    assert older.settings == EncodingSettings("mean", None, "", "")


def test_damage_is_said():
    data = MADE.to_user_data()
    del data[PREFIX + "consumed"]
    with pytest.raises(IndexingError, match=r"ix is damaged"):
        IndexMetadata.from_user_data(data, "ix")
    with pytest.raises(IndexingError, match=r"format 99"):
        IndexMetadata.from_user_data(MADE.to_user_data() | {PREFIX + "format": "99"}, "ix")
    assert IndexMetadata.from_user_data({}, "ix") is None


def test_the_way_to_a_model_is_that_between_the_folders(tmp_path):
    way = way_to_model(tmp_path / "indexes" / "ix", str(tmp_path / "models" / "mine"))
    assert way == "../../models/mine"
    assert way_to_model(tmp_path, "org/model") == ""
