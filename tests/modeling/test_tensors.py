"""Weights files of all years are read, and nothing but tensors."""

import pytest
import torch
from safetensors.torch import save_file

from hypserini.errors import ModelError
from hypserini.modeling.tensors import read_tensors

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.nn.Parameter(torch.ones(2))}


class Trojan:
    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict"])
def test_what_torch_saved_in_either_format(tmp_path, zipped, key):
    path = tmp_path / "pytorch_model.bin"
    saved = WEIGHTS if key is None else {key: WEIGHTS, "epoch": 3}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    read = read_tensors(path)
    assert {name: tensor.tolist() for name, tensor in read.items()} == {
        name: tensor.tolist() for name, tensor in WEIGHTS.items()
    }


def test_safetensors(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    assert read_tensors(tmp_path / "model.safetensors")["a"].tolist() == [1, 1]


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_not_run(tmp_path, zipped, capsys):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": Trojan()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="holds more than tensors"):
        read_tensors(path)
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("saved", [[torch.ones(2)], {"a": 1}, {}, {"a": torch.ones(1), "b": "x"}])
def test_files_without_named_tensors_are_refused(tmp_path, saved):
    torch.save(saved, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin does not hold"):
        read_tensors(tmp_path / "pytorch_model.bin")


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut", b"\x80\x02."])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        read_tensors(tmp_path / "pytorch_model.bin")
