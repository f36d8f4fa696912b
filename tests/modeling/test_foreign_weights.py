"""Whatever a checkpoint holds beside the encoder is dropped where it is harmless, or refused."""

import logging

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertForMaskedLM,
    BertForPreTraining,
    ModernBertConfig,
    ModernBertForMaskedLM,
)

from hypserini.encode import DocumentEncoder
from hypserini.errors import ModelError
from hypserini.modeling import load_model

FILE = "model.safetensors"
INNER = "encoder.layer.1.output.dense.bias"


def weights(bare) -> dict[str, torch.Tensor]:
    return load_file(bare.folder / FILE)


def rewrite(bare, tensors: dict[str, torch.Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, bare.folder / FILE)


def is_the_encoder(bare) -> bool:
    vectors = DocumentEncoder(load_model(bare.folder, device="cpu")).encode(["index search"])
    return torch.allclose(torch.from_numpy(vectors[0]), bare.states("index search")[0], atol=1e-5)


@pytest.mark.parametrize(
    "extra",
    [
        {"embeddingHead.weight": (32, 32), "norm.weight": (32,)},
        {"linear.weight": (8, 32)},
        {"classifier.weight": (1, 32), "classifier.bias": (1,)},
        {"qa_outputs.weight": (2, 32)},
        {"bert.encoder.layer.2.output.dense.bias": (32,)},
        {"head.dense.weight": (32, 32)},
        {"projection.0.weight": (32, 32)},
    ],
)
def test_weights_that_would_change_the_vectors_are_refused_by_name(bare, extra):
    more = {name: torch.ones(shape) for name, shape in extra.items()}
    rewrite(bare, {f"bert.{name}": w for name, w in weights(bare).items()} | more)
    name = min(extra).removeprefix("bert.").replace(".", r"\.")
    with pytest.raises(ModelError, match=name):
        load_model(bare.folder, device="cpu")


@pytest.mark.parametrize("whole", [BertForMaskedLM, BertForPreTraining])
@pytest.mark.parametrize("stated", [True, False])
def test_heads_of_pretraining_are_left_out(bare, whole, stated, caplog):
    model = whole(bare.bert.config)
    model.bert.load_state_dict(bare.bert.state_dict(), strict=False)
    model.save_pretrained(bare.folder)
    if not stated:
        bare.edit("config.json", architectures=["BertModel"])
    with caplog.at_level("INFO"):
        assert is_the_encoder(bare)
    assert "cls.predictions" in caplog.text


def test_a_head_of_pretraining_is_known_by_its_class(bare):
    config = ModernBertConfig(
        **{key: getattr(bare.bert.config, key) for key in ("vocab_size", "hidden_size")},
        **{"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64},
        **{"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3},
        **{"bos_token_id": 2, "eos_token_id": 3},
    )
    ModernBertForMaskedLM(config).save_pretrained(bare.folder)
    assert load_model(bare.folder, device="cpu").dim == 32
    bare.edit("config.json", architectures=["ModernBertModel"])
    with pytest.raises(ModelError, match=r"head\.dense\.weight|decoder\.bias"):
        load_model(bare.folder, device="cpu")


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "_orig_mod.module.bert.", "encoder.", "bert."]
)
def test_a_prefix_of_all_names_is_taken_off(bare, prefix):
    rewrite(bare, {prefix + name: w for name, w in weights(bare).items()})
    assert is_the_encoder(bare)


def test_a_wrapped_model_with_a_head(bare):
    head = {"module.cls.predictions.bias": torch.zeros(4)}
    rewrite(bare, {f"module.bert.{name}": w for name, w in weights(bare).items()} | head)
    assert is_the_encoder(bare)


def test_old_names_and_buffers_and_a_missing_pooler(bare):
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): w
        for name, w in weights(bare).items()
        if "pooler" not in name
    }
    rewrite(bare, old | {"embeddings.position_ids": torch.arange(40)[None]})
    assert is_the_encoder(bare)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w.pop(INNER), rf"lacks the weights {INNER}"),
        (lambda w: w.update({INNER: torch.ones(3)}), rf"{INNER} have the shape \[3\].*\[32\]"),
        (lambda w: w[INNER].fill_(float("nan")), rf"{INNER} hold NaN"),
        (lambda w: w.update({INNER: w[INNER].to(torch.int8)}), rf"{INNER} are of the type int8"),
    ],
)
def test_broken_weights_are_named(bare, spoil, message):
    tensors = weights(bare)
    spoil(tensors)
    rewrite(bare, tensors)
    with pytest.raises(ModelError, match=message):
        load_model(bare.folder, device="cpu")


def test_transformers_says_nothing_of_what_we_say(bare):
    head = {"cls.predictions.bias": torch.zeros(4)}
    rewrite(bare, {f"bert.{name}": w for name, w in weights(bare).items()} | head)
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("transformers").addHandler(handler)
    try:
        load_model(bare.folder, device="cpu")
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    assert not said
