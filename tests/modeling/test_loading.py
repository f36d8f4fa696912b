"""Checkpoints in all their forms, and what is said of broken ones."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hypserini.errors import ModelError
from hypserini.modeling import BiEncoder, HypencoderDualEncoder, load_model

IDS = torch.tensor([[2, 7, 8, 9, 3]])
MASK = torch.ones_like(IDS)


@pytest.fixture
def checkpoint(tmp_path, tiny_model) -> Path:
    """A copy of the tiny model that a test may spoil."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_model, folder)
    return folder


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    save_file({name: w.contiguous() for name, w in weights.items()}, folder / "model.safetensors")


def as_published(folder: Path, base_name: str) -> None:
    """Turn what we saved into what the paper's code saves: no model_type, no base configuration."""
    values = json.loads((folder / "config.json").read_text())
    for key in ("query_encoder_kwargs", "passage_encoder_kwargs"):
        values[key]["model_name_or_path"] = base_name
    base = values["base_config"]
    beside = folder.parent / "tiny-base"
    beside.mkdir()
    (beside / "config.json").write_text(json.dumps(base))
    edit_config(folder, **values | {"base_config": None, "model_type": None})


def same(model, folder: Path) -> bool:
    wanted = load_model(folder, device="cpu")
    return model.fingerprint == wanted.fingerprint and torch.equal(
        model.encode_queries(IDS, MASK).matrices[0], wanted.encode_queries(IDS, MASK).matrices[0]
    )


def test_pytorch_bin_with_both_copies_and_the_base_beside_it(checkpoint, tiny_model):
    as_published(checkpoint, "tiny-base")
    model = load_model(tiny_model, device="cpu")
    (checkpoint / "model.safetensors").unlink()
    torch.save(model.state_dict(), checkpoint / "pytorch_model.bin")
    assert same(load_model(checkpoint, device="cpu"), tiny_model)


def test_either_shared_copy_is_enough(checkpoint, tiny_model):
    weights = tensors(checkpoint)
    prefix = "query_encoder.transformer."
    assert not any(name.startswith("passage_encoder") for name in weights)
    rewrite(
        checkpoint,
        {name.replace(prefix, "passage_encoder.transformer."): w for name, w in weights.items()},
    )
    assert same(load_model(checkpoint, device="cpu"), tiny_model)


def test_shards(checkpoint, tiny_model):
    load_model(tiny_model, device="cpu").save_pretrained(checkpoint, max_shard_size="30KB")
    (checkpoint / "model.safetensors").unlink()
    shards = sorted(checkpoint.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert same(load_model(checkpoint, device="cpu"), tiny_model)
    shards[1].unlink()
    with pytest.raises(ModelError, match=shards[1].name):
        load_model(checkpoint, device="cpu")


def test_dtype_device_and_name(tiny_model):
    model = load_model(str(tiny_model), device="cpu", dtype="bfloat16")
    assert isinstance(model, HypencoderDualEncoder)
    assert model.dtype is torch.bfloat16
    assert model.name == str(tiny_model)
    assert not model.training
    exact = load_model(tiny_model, device="cpu")
    assert model.fingerprint == exact.fingerprint
    assert torch.allclose(
        model.encode_documents(IDS, MASK).float(), exact.encode_documents(IDS, MASK), atol=0.1
    )
    with pytest.raises(ModelError, match=r"int8.*float32"):
        load_model(tiny_model, dtype="int8")
    with pytest.raises(ModelError, match=r"cuda:99.*--device cpu"):
        load_model(tiny_model, device="cuda:99")
    with pytest.raises(ModelError, match=r"toaster"):
        load_model(tiny_model, device="toaster")


def test_a_half_precision_file_loads(checkpoint):
    rewrite(checkpoint, {name: w.half() for name, w in tensors(checkpoint).items()})
    assert load_model(checkpoint, device="cpu").dtype is torch.float32


def test_early_names_of_layer_norms(checkpoint, tiny_model):
    weights = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): w
        for name, w in tensors(checkpoint).items()
    }
    weights["query_encoder.transformer.embeddings.position_ids"] = torch.arange(64)[None]
    rewrite(checkpoint, weights)
    assert same(load_model(checkpoint, device="cpu"), tiny_model)


HEAD = "query_encoder.key_projections.1.weight"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w.pop(HEAD), f"lacks the weights {HEAD}:"),
        (lambda w: w.update({"classifier.bias": torch.ones(2)}), "does not know, classifier.bias:"),
        (
            lambda w: w.update({HEAD: torch.ones(3, 3)}),
            rf"{HEAD} have the shape \[3, 3\].*\[32, 32\]",
        ),
        (lambda w: w[HEAD].__setitem__((0, 0), float("nan")), f"{HEAD} hold NaN"),
        (
            lambda w: w.update(
                {
                    name.replace("query_encoder", "passage_encoder"): v + 1
                    for name, v in list(w.items())
                    if "word_embeddings" in name
                }
            ),
            "shared_encoder true, but passage_encoder.*word_embeddings.weight differs",
        ),
    ],
)
def test_broken_weights_are_named(checkpoint, spoil, message):
    weights = tensors(checkpoint)
    spoil(weights)
    rewrite(checkpoint, weights)
    with pytest.raises(ModelError, match=message):
        load_model(checkpoint, device="cpu")


class Trojan:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_file_that_would_run_code_is_refused(checkpoint, capsys):
    (checkpoint / "model.safetensors").unlink()
    torch.save({"weights": Trojan()}, checkpoint / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model.bin holds more than tensors"):
        load_model(checkpoint, device="cpu")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_damaged_files_are_named(checkpoint, name):
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / name).write_bytes(b"<html>not found</html>" * 9)
    with pytest.raises(ModelError, match=name):
        load_model(checkpoint, device="cpu")


def test_missing_files_are_named(checkpoint, tmp_path):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights: expected model.safetensors or pytorch_mod"):
        load_model(checkpoint, device="cpu")
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config.json is not readable JSON"):
        load_model(checkpoint, device="cpu")
    (checkpoint / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"neither query_encoder_kwargs nor model_type"):
        load_model(checkpoint, device="cpu")
    (checkpoint / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config.json"):
        load_model(checkpoint, device="cpu")
    with pytest.raises(ModelError, match=r"is a file"):
        load_model(checkpoint / "vocab.txt" if (checkpoint / "vocab.txt").exists() else __file__)


def test_a_missing_tokenizer_is_taken_from_the_base_or_named(checkpoint, tiny_model):
    as_published(checkpoint, "tiny-base")
    for file in checkpoint.iterdir():
        if "token" in file.name or file.name == "vocab.txt":
            shutil.copy(file, checkpoint.parent / "tiny-base")
            file.unlink()
    model = load_model(checkpoint, device="cpu")
    text = "index search"
    assert model.tokenizer(text)["input_ids"] == load_model(tiny_model).tokenizer(text)["input_ids"]
    shutil.rmtree(checkpoint.parent / "tiny-base")
    edit_config(
        checkpoint, base_config=json.loads((tiny_model / "config.json").read_text())["base_config"]
    )
    with pytest.raises(ModelError, match=r"has no tokenizer.*tiny-base"):
        load_model(checkpoint, device="cpu")


def test_a_base_that_cannot_be_found_is_named(checkpoint):
    as_published(checkpoint, "nobody/no-such-base")
    # 32 dimensions could be any number of heads: nothing is guessed.
    with pytest.raises(ModelError, match=r"nobody/no-such-base.*no-such-base"):
        load_model(checkpoint, device="cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-model-anywhere", "no-such-model-anywhere is neither a folder nor in the Hugg"),
        ("jfkback/hypencoder.60_layer", "hub cannot be reached: check the name"),
        ("./no/such/folder", "no folder ./no/such/folder"),
        ("spaced out name", "no folder spaced out name"),
    ],
)
def test_unknown_names_are_explained(name, message):
    with pytest.raises(ModelError, match=message):
        load_model(name)


def test_bad_configs_are_explained(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    kwargs = config["query_encoder_kwargs"]
    kwargs["converter_kwargs"]["do_layernorm"] = True
    edit_config(checkpoint, query_encoder_kwargs=kwargs)
    with pytest.raises(ModelError, match=r"do_layernorm"):
        load_model(checkpoint, device="cpu")
    del kwargs["converter_kwargs"]["do_layernorm"]
    edit_config(checkpoint, query_encoder_kwargs=kwargs, base_config={"model_type": "unheard-of"})
    with pytest.raises(ModelError, match=r"unheard-of"):
        load_model(checkpoint, device="cpu")


def test_a_hypencoder_is_no_bi_encoder(tiny_model):
    assert not isinstance(load_model(tiny_model, device="cpu"), BiEncoder)
