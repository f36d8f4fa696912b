"""What a config.json may say that would make transformers run code from elsewhere."""

import json
import sys
import types

import pytest

from hypserini.errors import ModelError
from hypserini.modeling import load_model
from hypserini.modeling.safe_config import transformer_config, without_foreign_code

FOREIGN = {
    "attn_implementation": "kernels-community/evil",
    "_attn_implementation": "kernels-community/evil",
    "_attn_implementation_internal": "evil/evil",
    "experts_implementation": "evil/evil",
    "auto_map": {"AutoModel": "evil/repo--modeling.Evil", "AutoConfig": "modeling.Evil"},
    "trust_remote_code": True,
    "use_kernels": True,
}


def test_keys_that_reach_for_code_are_dropped_at_any_depth():
    values = {"hidden_size": 4, **FOREIGN}
    assert without_foreign_code({"text_config": [values], **values}) == {
        "text_config": [{"hidden_size": 4}],
        "hidden_size": 4,
    }


@pytest.fixture
def kernels(monkeypatch):
    """A package `kernels` that says that it was asked for something."""
    asked = []
    package = types.ModuleType("kernels")
    package.__getattr__ = lambda name: asked.append(name)  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "kernels", package)
    return asked


@pytest.mark.parametrize("key", FOREIGN)
def test_a_plain_encoder_loads_without_them(bare, kernels, key):
    bare.edit("config.json", **{key: FOREIGN[key]})
    assert load_model(bare.folder, device="cpu").dim == 32
    assert not kernels


@pytest.mark.parametrize("key", FOREIGN)
def test_a_hypencoder_loads_without_them(tiny_model, tmp_path, kernels, key):
    import shutil

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    values = json.loads((folder / "config.json").read_text())
    values["base_config"][key] = values[key] = FOREIGN[key]
    (folder / "config.json").write_text(json.dumps(values))
    assert load_model(folder, device="cpu").dim == 32
    assert not kernels


@pytest.mark.parametrize("architectures", [["BertModel"], None])
def test_configs_of_before_model_types(bare, architectures):
    bare.edit("config.json", model_type=None, architectures=architectures)
    assert load_model(bare.folder, device="cpu").passage_encoder.base_config.model_type == "bert"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "unheard-of"}, r"no encoder that transformers reads.*unheard-of"),
        ({"model_type": "bert", "quantization_config": {"bits": 4}}, r"quantization_config"),
        ({"model_type": "bert", "hidden_size": "wide"}, r"file.*not usable"),
        ({}, r"model_type None"),
    ],
)
def test_configs_that_cannot_be_used_are_explained(values, message):
    with pytest.raises(ModelError, match=message):
        transformer_config(values, "the file")
