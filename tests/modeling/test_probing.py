"""Models that cannot encode fails at load, in one sentence."""

import pytest
from transformers import (
    CLIPConfig,
    CLIPModel,
    FNetConfig,
    FNetModel,
    NystromformerConfig,
    NystromformerModel,
)

from hypserini.errors import ModelError
from hypserini.modeling import load_model
from hypserini.modeling.probing import check_encoding
from hypserini.settings import EncodingSettings

SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64}


def load(bare, model, pooling=None):
    model.save_pretrained(bare.folder)
    return load_model(bare.folder, device="cpu", settings=EncodingSettings(pooling))


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_a_transformer_that_fails_on_texts(bare, pooling):
    config = NystromformerConfig(
        vocab_size=len(bare.tokenizer), num_attention_heads=4, segment_means_seq_len=50, **SHAPE
    )
    with pytest.raises(ModelError, match=r"cannot encode a text \(RuntimeError: .*not supported"):
        load(bare, NystromformerModel(config), pooling)


def test_a_model_of_pictures(bare):
    config = CLIPConfig(
        text_config=SHAPE | {"num_attention_heads": 4},
        vision_config=SHAPE | {"num_attention_heads": 4, "image_size": 8, "patch_size": 4},
    )
    with pytest.raises(ModelError, match=r"no BERT-like encoder|cannot encode"):
        load(bare, CLIPModel(config))


def test_a_transformer_that_heeds_no_mask_is_said(bare, caplog):
    model = FNetModel(
        FNetConfig(vocab_size=len(bare.tokenizer), max_position_embeddings=40, **SHAPE)
    )
    load(bare, model, "mean")
    assert "depend on the batch: give --batch-size 1" in caplog.text


def test_a_text_of_maximal_length_is_tried(bare):
    model = load_model(bare.folder, device="cpu")
    transformer = model.passage_encoder.transformer
    encode = transformer.forward

    def limited(input_ids, attention_mask):
        if input_ids.shape[1] > 39:
            raise IndexError("index 39 is out of bounds")
        return encode(input_ids=input_ids, attention_mask=attention_mask)

    transformer.forward = limited
    with pytest.raises(ModelError, match=r"cannot encode a text \(IndexError: index 39 is out"):
        check_encoding(model)


def test_the_long_text_goes_no_further_than_the_first_layer(bare):
    model = load_model(bare.folder, device="cpu")
    lengths: list[set[int]] = []
    for layer in model.passage_encoder.transformer.encoder.layer:
        seen: set[int] = set()
        layer.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.add(inputs[0].shape[1]))
        lengths.append(seen)
    check_encoding(model)
    assert max(lengths[0]) == 40
    assert max(lengths[1]) < 10
