"""Encoders that transformers saved: pooling that is guessed or asked for, decoders, T5."""

import pytest
import torch
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel, T5Config, T5Model

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.errors import ModelError
from hypserini.modeling import load_model
from hypserini.settings import EncodingSettings

TEXT = "index search query"
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


def encode(folder, **settings) -> torch.Tensor:
    model = load_model(folder, device="cpu", settings=EncodingSettings(**settings))
    return torch.from_numpy(DocumentEncoder(model).encode([TEXT, "a"]))[0]


def test_a_pooling_that_is_guessed_is_said_and_one_that_is_asked_for_is_not(bare, caplog):
    states = bare.states(TEXT)
    assert torch.allclose(encode(bare.folder), states[0], atol=1e-5)
    assert f"{bare.folder} does not say how it is pooled, so cls is assumed" in caplog.text
    assert "--pooling" in caplog.text
    caplog.clear()
    assert torch.allclose(encode(bare.folder, pooling="mean"), states.mean(0), atol=1e-5)
    unit = torch.nn.functional.normalize(states[-1], dim=0)
    assert torch.allclose(encode(bare.folder, pooling="last", l2_norm=True), unit, atol=1e-5)
    assert not caplog.records


def test_prefixes_stand_before_texts_that_do_not_begin_with_them(bare):
    settings = EncodingSettings("mean", None, "query ", "text ")
    model = load_model(bare.folder, device="cpu", settings=settings)
    wanted = bare.states("text index").mean(0)
    for text in ("index", "text index"):
        found = torch.from_numpy(DocumentEncoder(model).encode([text])[0])
        assert torch.allclose(found, wanted, atol=1e-5)
    query = QueryEncoder(model).encode(["index"]).matrices[0][0, :, 0]
    assert torch.allclose(query, bare.states("query index").mean(0), atol=1e-5)


def test_settings_are_kept_when_a_model_is_saved(bare, tmp_path):
    model = load_model(
        bare.folder, device="cpu", settings=EncodingSettings("mean+cls", True, "query ", "text ")
    )
    model.save_pretrained(tmp_path / "saved")
    again = load_model(tmp_path / "saved", device="cpu")
    assert again.fingerprint == model.fingerprint
    assert (again.pooling, again.config.query_prefix) == ("mean+cls", "query ")
    assert (DocumentEncoder(again).encode([TEXT]) == DocumentEncoder(model).encode([TEXT])).all()


def test_queries_of_a_plain_encoder_are_cut_where_documents_are(bare):
    assert load_model(bare.folder, device="cpu").query_max_length == 40
    bare.edit("tokenizer_config.json", model_max_length=20)
    model = load_model(bare.folder, device="cpu")
    assert (model.query_max_length, model.document_max_length) == (20, 20)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_decoders_are_pooled_by_their_last_token_or_refused(bare, kind):
    vocabulary = len(bare.tokenizer)
    torch.manual_seed(1)
    if kind == "llama":
        decoder = LlamaModel(LlamaConfig(vocab_size=vocabulary, intermediate_size=64, **SHAPE))
    else:
        decoder = GPT2Model(GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4))
    decoder.eval().save_pretrained(bare.folder)
    for settings in ({}, {"pooling": "cls"}, {"pooling": "mean+cls"}):
        with pytest.raises(ModelError, match=rf"{kind}.*first token.*--pooling lasttoken"):
            encode(bare.folder, **settings)
    row = bare.tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        states = decoder(row["input_ids"], attention_mask=row["attention_mask"]).last_hidden_state
    assert torch.allclose(encode(bare.folder, pooling="lasttoken"), states[0, -1], atol=1e-5)


def test_the_encoder_of_a_t5_is_used_where_its_pooling_is_said(bare, tmp_path):
    torch.manual_seed(1)
    shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    t5 = T5Model(T5Config(vocab_size=len(bare.tokenizer), **shape)).eval()
    t5.save_pretrained(bare.folder)
    with pytest.raises(ModelError, match=r"encoder-decoder \(t5\).*--pooling mean"):
        encode(bare.folder)
    row = bare.tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        states = t5.encoder(row["input_ids"], attention_mask=row["attention_mask"])[0][0]
    assert torch.allclose(encode(bare.folder, pooling="mean"), states.mean(0), atol=1e-5)
    bare.write(
        "modules.json",
        [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling")],
    )
    bare.write("1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
    model = load_model(bare.folder, device="cpu")
    model.save_pretrained(tmp_path / "saved")
    assert torch.allclose(encode(tmp_path / "saved"), states.mean(0), atol=1e-5)


@pytest.mark.parametrize("config", [{"model_type": "bart"}, {"model_type": "marian"}])
def test_other_encoder_decoders_are_refused(bare, config):
    bare.write("config.json", config)
    with pytest.raises(ModelError, match=r"encoder-decoder"):
        encode(bare.folder, pooling="mean")


def test_an_adapter_is_refused(bare):
    bare.write("adapter_config.json", {"peft_type": "LORA"})
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        encode(bare.folder)
