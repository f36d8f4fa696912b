"""A whole Hypencoder, from token ids to scores, against the formulas in plain numpy.

A checkpoint in the layout of the paper's code, with a small BERT and random weights, none of them
zero: what the golden numbers beside the checkout test with the paper's own code, this tests in
every clone.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_tokenizer
from transformers import BertConfig, BertModel

from hypserini.modeling import HypencoderDualEncoder, QNet, load_model

WIDTH, HEADS, LAYERS, BLOCKS = 12, 3, 2, 2
ERF = np.vectorize(math.erf)
LENGTHS = {"query": (5, 3, 1), "passage": (6, 4, 2, 5)}


def random(shape: torch.Size, seed: int) -> torch.Tensor:
    return 0.6 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=[True, False], ids=["shared", "unshared"])
def checkpoint(request, tmp_path_factory) -> Path:
    """The folder of a checkpoint, the names of whose tensors are the published ones."""
    folder = tmp_path_factory.mktemp("whole")
    tokenizer = make_tokenizer(folder / "model")
    base = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=16,
    )
    base.save_pretrained(folder / "base")
    shapes = {f"transformer.{k}": v.shape for k, v in BertModel(base).state_dict().items()}
    passage = dict(shapes)
    outputs = [WIDTH] * BLOCKS + [1]
    for i, rows in enumerate(outputs):
        shapes[f"hyper_base_matrices.{i}"] = torch.Size([1, rows, WIDTH])
        shapes[f"weight_query_embeddings.{i}"] = torch.Size([1, rows, WIDTH])
    for i in range(BLOCKS):
        shapes[f"hyper_base_vectors.{i}"] = torch.Size([1, WIDTH])
        shapes[f"bias_query_embeddings.{i}"] = torch.Size([1, 1, WIDTH])
    heads = [("weight_hyper_projection", BLOCKS + 1), ("bias_hyper_projection", BLOCKS)]
    heads += [("key_projections", 2 * BLOCKS + 1), ("value_projections", 2 * BLOCKS + 1)]
    for name, count in heads:
        for i in range(count):
            shapes[f"{name}.{i}.weight"] = torch.Size([WIDTH, WIDTH])
            shapes[f"{name}.{i}.bias"] = torch.Size([WIDTH])
    names = [(f"query_encoder.{name}", shape) for name, shape in sorted(shapes.items())]
    names += [(f"passage_encoder.{name}", shape) for name, shape in sorted(passage.items())]
    state = {name: random(shape, number) for number, (name, shape) in enumerate(names)}
    if request.param:
        for name in passage:
            state[f"passage_encoder.{name}"] = state[f"query_encoder.{name}"]
    torch.save(state, folder / "model" / "pytorch_model.bin")
    encoder = {"model_name_or_path": str(folder / "base"), "freeze_transformer": False}
    converter = {"vector_dimensions": [WIDTH, *outputs], "activation_type": "relu"}
    config = {
        "architectures": ["HypencoderDualEncoder"],
        "query_encoder_kwargs": {
            **encoder,
            "embedding_representation": None,
            "base_encoder_output_dim": WIDTH,
            "converter_kwargs": {**converter, "do_residual_on_last": False},
        },
        "passage_encoder_kwargs": {**encoder, "pooling_type": "cls"},
        "shared_encoder": request.param,
        "loss_type": ["margin_mse"],
        "loss_kwargs": [{}],
        "query_encoder_type": "",
        "passage_encoder_type": "",
    }
    (folder / "model" / "config.json").write_text(json.dumps(config))
    return folder / "model"


def normalize(x: np.ndarray, eps: float) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class Numpy:
    """The model by its formulas, in float64, a text at a time and without pads."""

    def __init__(self, folder: Path) -> None:
        state = torch.load(folder / "pytorch_model.bin", weights_only=True)
        self.weights = {name: tensor.double().numpy() for name, tensor in state.items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        scaled = normalize(x, 1e-12) * self.weights[f"{name}.weight"]
        return scaled + self.weights[f"{name}.bias"]

    def bert(self, encoder: str, ids: list[int]) -> np.ndarray:
        """The last hidden states [n, width] of a text."""
        place = f"{encoder}.transformer.embeddings"
        x = self.weights[f"{place}.word_embeddings.weight"][ids]
        x = x + self.weights[f"{place}.position_embeddings.weight"][: len(ids)]
        x = x + self.weights[f"{place}.token_type_embeddings.weight"][0]
        x = self.norm(f"{place}.LayerNorm", x)
        for layer in range(LAYERS):
            place = f"{encoder}.transformer.encoder.layer.{layer}"
            query, key, value = (
                self.linear(f"{place}.attention.self.{part}", x).reshape(len(ids), HEADS, -1)
                for part in ("query", "key", "value")
            )
            logits = np.einsum("ihd,jhd->hij", query, key) / np.sqrt(WIDTH / HEADS)
            mixed = np.einsum("hij,jhd->ihd", softmax(logits), value).reshape(len(ids), WIDTH)
            mixed = self.linear(f"{place}.attention.output.dense", mixed)
            x = self.norm(f"{place}.attention.output.LayerNorm", mixed + x)
            wide = self.linear(f"{place}.intermediate.dense", x)
            wide = 0.5 * wide * (1 + ERF(wide / math.sqrt(2)))
            x = self.norm(
                f"{place}.output.LayerNorm", self.linear(f"{place}.output.dense", wide) + x
            )
        return x

    def produced(self, states: np.ndarray, kind: str, i: int) -> np.ndarray:
        """W^T [out, in] of a matrix, or [1, out] of a vector, of the q-net."""
        is_matrix = kind == "weight"
        head = i if is_matrix else BLOCKS + 1 + i
        keys = self.linear(f"query_encoder.key_projections.{head}", states)
        values = self.linear(f"query_encoder.value_projections.{head}", states)
        queries = self.weights[f"query_encoder.{kind}_query_embeddings.{i}"][0]
        scale = math.sqrt(len(queries)) if is_matrix else 1.0
        attended = softmax(queries @ keys.T / scale) @ values
        attended = normalize(np.maximum(attended, 0), 1e-5)
        base = "hyper_base_matrices" if is_matrix else "hyper_base_vectors"
        added = self.weights[f"query_encoder.{base}.{i}"].reshape(attended.shape)
        return self.linear(f"query_encoder.{kind}_hyper_projection.{i}", attended) + added

    def scores(self, query: list[int], documents: np.ndarray) -> np.ndarray:
        """The scores [n] of documents [n, width] for a query."""
        states = self.bert("query_encoder", query)
        x = documents
        for block in range(BLOCKS):
            y = x @ self.produced(states, "weight", block).T + self.produced(states, "bias", block)
            y = normalize(np.maximum(y, 0), 1e-5)
            x = y + x if block < BLOCKS - 1 else y  # the last block has no residual
        return (x @ self.produced(states, "weight", BLOCKS).T)[:, 0]


def texts(kind: str) -> list[list[int]]:
    """Token ids of texts of different lengths."""
    rng = np.random.default_rng(len(kind))
    return [rng.integers(5, 60, size=length).tolist() for length in LENGTHS[kind]]


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = [row + [0] * (longest - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-9), ("float32", 1e-4)])
@pytest.mark.parametrize("saved", [False, True])
def test_vectors_and_scores_are_those_of_the_formulas(
    checkpoint: Path, tmp_path: Path, dtype: str, atol: float, saved: bool
) -> None:
    model = load_model(str(checkpoint), device="cpu", dtype=dtype)
    if saved:  # in our own layout
        load_model(str(checkpoint), device="cpu").save_pretrained(tmp_path)
        model = load_model(str(tmp_path), device="cpu", dtype=dtype)
    assert isinstance(model, HypencoderDualEncoder)
    formulas = Numpy(checkpoint)
    documents = np.stack([formulas.bert("passage_encoder", ids)[0] for ids in texts("passage")])
    scores = np.stack([formulas.scores(ids, documents) for ids in texts("query")])
    assert scores.std() > 0.1  # or nothing would be tested
    with torch.no_grad():
        encoded = model.encode_documents(*padded(texts("passage")))
        q_net = model.encode_queries(*padded(texts("query")))
        single = QNet.cat([model.encode_queries(*padded([ids])) for ids in texts("query")])
    np.testing.assert_allclose(encoded.numpy(), documents, atol=atol)
    for one in (q_net, single):
        np.testing.assert_allclose(one(encoded).numpy(), scores, atol=atol)
    np.testing.assert_allclose(q_net.score(encoded).numpy(), scores, atol=max(atol, 1e-5))
