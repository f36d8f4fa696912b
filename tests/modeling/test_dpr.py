"""DPR's two encoders give what they give in transformers: the [CLS] state, or its projection."""

import pytest
import torch
from transformers import DPRConfig, DPRContextEncoder, DPRQuestionEncoder, DPRReader

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.errors import ModelError
from hypserini.modeling import load_model


def save(bare, kind, **more):
    torch.manual_seed(3)
    shape = {key: getattr(bare.bert.config, key) for key in ("vocab_size", "hidden_size")}
    config = DPRConfig(
        **shape, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64, **more
    )
    model = kind(config).eval()
    model.save_pretrained(bare.folder)
    return model


@pytest.mark.parametrize("kind", [DPRQuestionEncoder, DPRContextEncoder])
@pytest.mark.parametrize("projection", [0, 16])
def test_both_encoders_load_as_what_they_are(bare, tmp_path, caplog, kind, projection):
    dpr = save(bare, kind, projection_dim=projection)
    row = bare.tokenizer("index search", return_tensors="pt")
    with torch.no_grad():
        wanted = dpr(row["input_ids"], attention_mask=row["attention_mask"]).pooler_output[0]
    load_model(bare.folder, device="cpu").save_pretrained(tmp_path / "saved")
    for folder in (bare.folder, tmp_path / "saved"):
        model = load_model(folder, device="cpu")
        assert model.dim == (projection or 32)
        caplog.clear()
        if kind is DPRQuestionEncoder:
            found = QueryEncoder(model).encode(["index search"]).matrices[0][0, :, 0]
        else:
            found = torch.from_numpy(DocumentEncoder(model).encode(["index search"])[0])
        assert torch.allclose(found, wanted, atol=1e-5)
        assert not caplog.records
        other = DocumentEncoder if kind is DPRQuestionEncoder else QueryEncoder
        other(model)
        assert "an encoder of their own" in caplog.text


def test_a_config_of_before_model_types(bare):
    save(bare, DPRContextEncoder)
    bare.edit("config.json", model_type=None)
    assert load_model(bare.folder, device="cpu").config.encodes == "documents"


def test_the_reader_is_refused(bare):
    save(bare, DPRReader)
    with pytest.raises(ModelError, match=r"DPR model without question_encoder"):
        load_model(bare.folder, device="cpu")
