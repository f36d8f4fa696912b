"""Where a model's files lie, by whatever name it is called."""

import json
import shutil

import pytest

from hypserini.errors import MissingModelError, ModelError
from hypserini.modeling import load_model
from hypserini.modeling.checkpoints import BUNDLED, Checkpoint


def test_a_folder_is_known_by_its_absolute_path(tiny_model, monkeypatch):
    monkeypatch.chdir(tiny_model.parent)
    for name in (tiny_model.name, f"./{tiny_model.name}/", tiny_model):
        assert Checkpoint(name).place == str(tiny_model)
    assert load_model(tiny_model.name, device="cpu").name == str(tiny_model)
    assert Checkpoint(BUNDLED).place == BUNDLED


def test_the_home_folder_is_meant_by_a_tilde(tiny_model, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_model.parent))
    assert Checkpoint(f"~/{tiny_model.name}").place == str(tiny_model)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "x" * 5000, "a\0b", "no/such/folder"])
def test_names_that_are_none_are_explained(name):
    with pytest.raises(MissingModelError):
        Checkpoint(name)


def test_parts_lie_within(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "0_Transformer" / "config.json").write_text('{"a": 1}')
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.part("0_Transformer").config() == {"a": 1}
    assert checkpoint.part("").folder == tmp_path
    with pytest.raises(ModelError, match=r"has no config\.json"):
        checkpoint.config()
    for path in ("..", "a/../../b", "/etc", "\\\\server", "C:x"):
        with pytest.raises(ModelError, match="lies outside"):
            checkpoint.part(path)


@pytest.mark.parametrize("listed", [{}, {"weight_map": 3}, {"weight_map": {"a": "../secret.bin"}}])
def test_an_index_of_shards_that_makes_no_sense(tiny_model, tmp_path, listed):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(listed))
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json"):
        load_model(folder, device="cpu")
