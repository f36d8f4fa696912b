"""Bi-encoders: the paper's, plain encoders, and what sentence-transformers notes beside them."""

import json

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertModel

from hypserini.errors import ModelError
from hypserini.modeling import BiEncoder, load_model

BASE = BertConfig(
    vocab_size=60,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=40,
)
IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]])
MASK = (IDS != 0).long()


@pytest.fixture
def plain(tmp_path, tiny_model):
    """A folder as AutoModel saves it, with a tokenizer."""
    torch.manual_seed(0)
    BertModel(BASE).save_pretrained(tmp_path)
    load_model(tiny_model, device="cpu").tokenizer.save_pretrained(tmp_path)
    return tmp_path


def states(folder) -> torch.Tensor:
    return BertModel.from_pretrained(folder).eval()(IDS, attention_mask=MASK).last_hidden_state


def check(model: BiEncoder, queries: torch.Tensor, documents: torch.Tensor) -> None:
    assert torch.allclose(model.encode_documents(IDS, MASK), documents, atol=1e-6)
    q_net = model.encode_queries(IDS, MASK)
    assert q_net.config.vector_dimensions == (32, 1)
    assert torch.allclose(q_net(documents), queries @ documents.T, atol=1e-5)
    assert torch.allclose(q_net.score(documents), queries @ documents.T, atol=1e-5)


def test_a_plain_encoder_scores_by_dot_product(plain, tmp_path_factory):
    model = load_model(plain, device="cpu")
    assert isinstance(model, BiEncoder)
    vectors = states(plain)[:, 0]
    check(model, vectors, vectors)
    assert (model.dim, model.pooling, model.document_max_length) == (32, "cls", 40)
    saved = tmp_path_factory.mktemp("saved")
    model.save_pretrained(saved)
    again = load_model(saved, device="cpu")
    check(again, vectors, vectors)
    assert again.fingerprint == model.fingerprint


def test_a_language_model_is_read_without_its_head(plain):
    torch.manual_seed(1)
    whole = BertForMaskedLM(BASE).eval()
    whole.save_pretrained(plain)
    vectors = whole.bert(IDS, attention_mask=MASK).last_hidden_state[:, 0]
    check(load_model(plain, device="cpu"), vectors, vectors)


def sentence_transformers(folder, *, mean: bool, cls: bool = False, modules=()) -> None:
    (folder / "1_Pooling").mkdir()
    noted = {"pooling_mode_mean_tokens": mean, "pooling_mode_cls_token": cls}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(noted))
    types = ["Transformer", "Pooling", *modules]
    (folder / "modules.json").write_text(
        json.dumps([{"type": f"sentence_transformers.models.{name}"} for name in types])
    )
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')


def test_sentence_transformers_pooling_and_normalisation(plain):
    sentence_transformers(plain, mean=True, modules=["Normalize"])
    h = states(plain)
    vectors = torch.stack([h[0].mean(0), h[1, :3].mean(0)])
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    model = load_model(plain, device="cpu")
    check(model, vectors, vectors)
    assert (model.pooling, model.document_max_length) == ("mean", 24)


def test_what_sentence_transformers_adds_beyond_is_refused(plain):
    sentence_transformers(plain, mean=True, modules=["Dense"])
    with pytest.raises(ModelError, match=r"Dense layer"):
        load_model(plain, device="cpu")


@pytest.mark.parametrize("shared", [True, False])
def test_the_papers_bi_encoder(plain, shared):
    """TextDualEncoder: query_encoder.transformer.*, passage_encoder.transformer.*."""
    torch.manual_seed(2)
    query = BertModel(BASE).eval()
    passage = query if shared else BertModel(BASE).eval()
    weights = {f"query_encoder.transformer.{k}": v for k, v in query.state_dict().items()}
    weights |= {f"passage_encoder.transformer.{k}": v for k, v in passage.state_dict().items()}
    folder = plain / "be-base"
    folder.mkdir()
    torch.save(weights, folder / "pytorch_model.bin")
    base = plain / "base"
    BASE.save_pretrained(base)
    load_model(plain, device="cpu").tokenizer.save_pretrained(base)
    encoder = {"model_name_or_path": str(base), "freeze_transformer": False, "pooling_type": "cls"}
    config = {
        "architectures": ["TextDualEncoder"],
        "query_encoder_kwargs": encoder,
        "passage_encoder_kwargs": {**encoder, "pooling_type": "cls" if shared else "mean"},
        "shared_encoder": shared,
        "loss_type": "margin_mse",
        "loss_kwargs": {},
    }
    (folder / "config.json").write_text(json.dumps(config))
    model = load_model(folder, device="cpu")
    queries = query(IDS, attention_mask=MASK).last_hidden_state[:, 0]
    h = passage(IDS, attention_mask=MASK).last_hidden_state
    documents = queries if shared else torch.stack([h[0].mean(0), h[1, :3].mean(0)])
    check(model, queries, documents)


def test_a_bi_encoder_trains_by_the_same_losses(plain):
    model = load_model(plain, device="cpu")
    model.config.loss_type, model.config.loss_kwargs = ["margin_mse"], [{}]
    model = BiEncoder(model.config)
    output = model(IDS[:1], MASK[:1], IDS, MASK, labels=torch.tensor([[1.0, 0.0]]))
    output.loss.backward()
    vectors = model.encode_documents(IDS, MASK)
    assert output.similarity.shape == (1, 2)
    assert model.passage_encoder.transformer.embeddings.word_embeddings.weight.grad.any()
    assert vectors.shape == (2, 32)


def test_other_folders_are_explained(plain):
    (plain / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(ModelError, match=r"no encoder that transformers reads"):
        load_model(plain, device="cpu")
