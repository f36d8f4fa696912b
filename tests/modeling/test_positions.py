"""How long a text may be, by the tables that a model has."""

import pytest
import torch
from conftest import make_tokenizer
from transformers import AutoConfig, AutoModel

from hypserini.modeling import load_model
from hypserini.modeling.positions import UNLIMITED, positions_of

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
GPT = {"n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 40}


@pytest.mark.parametrize(
    ("kind", "changes", "limit"),
    [
        ("bert", {}, 40),
        ("distilbert", {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 64}, 40),
        ("albert", {"embedding_size": 16}, 40),
        ("roberta", {"pad_token_id": 1}, 38),
        ("mpnet", {"pad_token_id": 1}, 38),
        ("camembert", {"pad_token_id": 5}, 34),
        ("xlm", {"emb_dim": 32, "n_layers": 1, "n_heads": 4, "n_words": 60}, 40),
        ("opt", {"ffn_dim": 64, "word_embed_proj_dim": 32}, 40),
        ("gpt2", GPT, 40),
        ("gptj", {**GPT, "rotary_dim": 4}, 40),
        ("roformer", {"embedding_size": 32}, 40),
        ("yoso", {}, 40),
        ("deberta-v2", {"relative_attention": True, "position_biased_input": False}, UNLIMITED),
        ("llama", {}, UNLIMITED),
        ("xlnet", {"d_model": 32, "n_layer": 1, "n_head": 4, "d_inner": 64}, UNLIMITED),
    ],
)
def test_the_limit_is_what_the_model_can_read(kind, changes, limit):
    shape = {k: v for k, v in SHAPE.items() if kind != "xlnet" or k == "vocab_size"}
    model = AutoModel.from_config(AutoConfig.for_model(kind, **{**shape, **changes})).eval()
    assert positions_of(model) == limit
    longest = min(limit, 70)
    ids = torch.full((1, longest), 7)
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert states.shape == (1, longest, 32)


def test_angles_of_rotary_positions_stay_exact(tmp_path):
    """Rounded with the weights, they would turn far tokens by radians."""
    from transformers import ModernBertConfig, ModernBertModel

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    made = ModernBertConfig(num_hidden_layers=2, vocab_size=200, pad_token_id=0, **sizes)
    ModernBertModel(made).save_pretrained(tmp_path)
    make_tokenizer(tmp_path).save_pretrained(tmp_path)
    exact, narrow = (
        load_model(tmp_path, device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")
    )
    angles = {name: one for name, one in exact.named_buffers() if name.endswith("inv_freq")}
    assert angles
    for name, one in narrow.named_buffers():
        if name in angles:
            assert torch.equal(one, angles[name])
    assert {parameter.dtype for parameter in narrow.parameters()} == {torch.bfloat16}
