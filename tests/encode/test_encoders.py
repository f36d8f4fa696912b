"""Texts in batches give what each gives alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rankings import scores_like

from hypserini.encode import DocumentEncoder, QueryEncoder
from hypserini.errors import ModelError
from hypserini.modeling import load_model
from hypserini.modeling.devices import choose_devices, choose_dtype

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
TEXTS = [
    "index search query document",
    "",
    "graph " * 200,
    "a",
    "sort the merge table by key and value, then walk the tree",
    "heap queue",
]


@pytest.fixture
def model(tiny_model):
    return load_model(tiny_model, device="cpu")


def ids(model, text: str, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    row = model.tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
    return row["input_ids"], row["attention_mask"]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_documents_keep_their_order(model, batch_size):
    vectors = DocumentEncoder(model, batch_size=batch_size).encode(TEXTS)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        alone = model.encode_documents(*ids(model, text, 64))[0].detach().numpy()
        np.testing.assert_allclose(vector, alone, atol=1e-5)


def test_truncated_documents_are_counted(model):
    encoder = DocumentEncoder(model, max_length=8)
    vectors = encoder.encode(TEXTS)
    assert encoder.truncated == 2
    encoder.encode(["index", "x " * 8])
    assert encoder.truncated == 3
    cut = model.encode_documents(*ids(model, TEXTS[2], 8))[0].detach().numpy()
    np.testing.assert_allclose(vectors[2], cut, atol=1e-5)
    # The transformer has 64 positions: more cannot be asked for.
    assert DocumentEncoder(model, max_length=1000).max_length == 64


def test_no_documents_are_no_rows(model):
    assert DocumentEncoder(model).encode([]).shape == (0, 32)


def test_vectors_that_are_not_finite_name_their_text(model):
    words = model.passage_encoder.transformer.embeddings.word_embeddings.weight
    with torch.no_grad():
        words[model.tokenizer.convert_tokens_to_ids("heap")] = float("nan")
    with pytest.raises(ModelError, match=r"not finite.*--dtype float32") as caught:
        DocumentEncoder(model, batch_size=2).encode(TEXTS)
    assert caught.value.position == 5


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_queries_keep_their_order(model, batch_size):
    encoder = QueryEncoder(model, batch_size=batch_size)
    q_net = encoder.encode(TEXTS)
    assert [len(batch) for batch in encoder.batches(TEXTS, 4)] == [4, 2]
    documents = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    for i, text in enumerate(TEXTS):
        alone = model.encode_queries(*ids(model, text, 32))(documents)[0]
        assert q_net[i](documents)[0].tolist() == scores_like(alone.tolist())


def test_q_nets_have_gradients(model):
    """They are made without autograd, but a document's vector may have one through them."""
    q_net = QueryEncoder(model).encode(["index search"])
    assert not q_net.matrices[0].requires_grad
    documents = torch.randn(8, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    q_net(documents).sum().backward()
    assert documents.grad is not None
    assert documents.grad.any()


def test_query_length_is_the_models_or_the_users(model):
    assert QueryEncoder(model).max_length == 32
    assert QueryEncoder(model, max_length=50).max_length == 50
    assert QueryEncoder(model, max_length=1000).max_length == 64


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="golden data does not lie beside the checkout")
@pytest.mark.parametrize("name", ["hypencoder-2l-shared", "hypencoder-2l-unshared"])
def test_golden_texts(name):
    model = load_model(GOLDEN / name, device="cpu")
    golden = json.loads((GOLDEN / name / "golden.json").read_text())
    data = np.load(GOLDEN / name / "golden.npz")
    vectors = DocumentEncoder(model, batch_size=4).encode(golden["passages"])
    np.testing.assert_allclose(vectors, data["passage_embeddings"], atol=1e-5)
    q_net = QueryEncoder(model, max_length=48, batch_size=2).encode(golden["queries"])
    scores = q_net.score(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(scores, data["scores"], atol=1e-5)


def test_several_devices_share_the_documents_and_keep_their_order(tiny_model, caplog) -> None:
    texts = [f"index {'graph ' * (n % 7)} {n}" for n in range(90)]
    model = load_model(tiny_model, device="cpu")
    wanted = DocumentEncoder(model, batch_size=4).encode(texts)
    model = load_model(tiny_model, device="cpu")
    encoder = DocumentEncoder(model, batch_size=4, others=[torch.device("cpu")] * 2)
    counted: list[int] = []
    np.testing.assert_allclose(encoder.encode(texts, counted.append), wanted, atol=1e-5)
    assert sum(counted) == len(texts)
    assert len(counted) == 23


@pytest.mark.parametrize(
    ("there", "kind", "kept", "expected"),
    [
        (True, "cuda", None, torch.bfloat16),
        (False, "cuda", None, torch.float32),  # an old card, which torch can have emulate it
        (True, "cpu", None, torch.float32),
        (True, "cuda", torch.bfloat16, torch.bfloat16),
        (False, "cuda", torch.bfloat16, torch.float32),
        (True, "cuda", torch.float32, torch.float32),  # who keeps them so wants it exact
        (False, "cuda", torch.float16, torch.float16),
        (True, "cpu", torch.float32, torch.float32),
    ],
)
def test_the_number_format_suits_the_device(monkeypatch, there, kind, kept, expected) -> None:
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: including_emulation or there,
    )
    assert choose_dtype("auto", torch.device(kind), kept) is expected
    assert choose_dtype("float16", torch.device(kind), kept) is torch.float16


def test_devices_are_named_with_commas_between_them() -> None:
    assert choose_devices("cpu, cpu") == [torch.device("cpu")] * 2
    with pytest.raises(ModelError, match="device gpu cannot be used"):
        choose_devices("cpu,gpu")
