"""Gradients against finite differences in float64: every q-net option, every loss, the model."""

import itertools
from functools import partial

import pytest
import torch
from transformers import BertConfig

from hypserini.modeling import HypencoderConfig, HypencoderDualEncoder, QNet, QNetConfig, recompute
from hypserini.modeling.batch_scores import BatchScores
from hypserini.modeling.losses import similarity_losses

QUERIES, ITEMS, DIM = 3, 2, 4
gradcheck = partial(torch.autograd.gradcheck, fast_mode=True)  # along random directions
OPTIONS = [
    *({"activation_type": name} for name in ("relu", "tanh", "sigmoid", "gelu", "leaky_relu")),
    *(
        {
            "do_layer_norm": norm,
            "layer_norm_before_residual": before,
            "do_residual": residual,
            "do_residual_on_last": last,
        }
        for norm, before, residual, last in itertools.product([True, False], repeat=4)
        if residual or not last
    ),
    *({"do_dropout": True, "dropout_prob": p, "activation_type": "tanh"} for p in (0.1, 0.5)),
]
LOSSES = [
    ("margin_mse", {"scale": 2.0}),
    ("kl_divergence", {"temperature": 0.7, "teacher_temperature": 2.0}),
    ("cross_entropy", {}),
    ("cross_entropy", {"only_use_first_item": True, "temperature": 0.5}),
    ("cross_entropy", {"use_in_batch_negatives": False}),
]


@pytest.fixture(params=["kept", "recomputed"])
def path(request, monkeypatch):
    """Let autograd keep the activations, or compute them again, query by query."""
    if request.param == "recomputed":
        monkeypatch.setattr(recompute, "KEEP_BYTES", 0)
        monkeypatch.setattr(recompute, "CHUNK_BYTES", 0)
    return request.param


def make(config: QNetConfig, seed: int = 0):
    """A q-net's weights and documents [q * items, dim], to be differentiated with respect to."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    matrices = [random(QUERIES, *shape) for shape in config.matrix_shapes]
    vectors = [random(QUERIES, size) for size in config.vector_sizes]
    return random(QUERIES * ITEMS, config.dim), *matrices, *vectors


def q_net_of(config: QNetConfig, weights) -> QNet:
    matrices = len(config.matrix_shapes)
    return QNet(config, weights[:matrices], weights[matrices:])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("grouped", [False, True], ids=["shared", "grouped"])
def test_q_net_options(options, grouped, path):
    config = QNetConfig((DIM,) * 3 + (1,), **options)

    def scores(x, *weights):
        torch.manual_seed(1)  # for dropout
        q_net = q_net_of(config, weights)
        x = x.view(QUERIES, ITEMS, DIM) if grouped else x
        assert recompute.queries_at_a_time(q_net, x) == (QUERIES if path == "kept" else 1)
        return q_net(x, training=True)

    assert gradcheck(scores, make(config))


@pytest.mark.parametrize("shape", [(DIM, 1), (DIM, 6, 3, 1)], ids=str)
def test_q_net_shapes(shape, path):
    config = QNetConfig(shape, do_residual=False)
    assert gradcheck(lambda x, *weights: q_net_of(config, weights)(x), make(config))


@pytest.mark.parametrize(("name", "kwargs"), LOSSES, ids=str)
@pytest.mark.parametrize("dropout", [False, True], ids=["", "dropout"])
def test_losses(name, kwargs, dropout, path):
    config = QNetConfig((DIM,) * 3 + (1,), do_dropout=dropout)
    labels = torch.randn(QUERIES, ITEMS, generator=torch.Generator().manual_seed(3))
    ((_, loss),) = similarity_losses([name], [kwargs])

    def compute(x, *weights):
        torch.manual_seed(1)
        return loss(BatchScores(q_net_of(config, weights), x, training=True), labels)

    assert gradcheck(compute, make(config))


@pytest.mark.parametrize("dropout", [False, True], ids=["", "dropout"])
def test_the_whole_model(dropout, path):
    """The slope of the sum of all losses along random directions in the space of all weights."""
    base = BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=12,
    )
    torch.manual_seed(0)
    model = HypencoderDualEncoder(
        HypencoderConfig.from_base(
            base,
            QNetConfig((8, 8, 8, 1), do_dropout=dropout, activation_type="gelu"),
            loss_type=[name for name, _ in LOSSES],
            loss_kwargs=[kwargs for _, kwargs in LOSSES],
        )
    ).double()
    for i in range(len(model.query_encoder.hyper_base_vectors)):
        # As far from 0 as trained ones; and queries so small that the attention is not a choice.
        torch.nn.init.normal_(model.query_encoder.hyper_base_vectors[i])
        torch.nn.init.normal_(model.query_encoder.bias_query_embeddings[i])
    for i in range(len(model.query_encoder.weight_query_embeddings)):
        torch.nn.init.normal_(model.query_encoder.weight_query_embeddings[i])
        torch.nn.init.normal_(model.query_encoder.weight_hyper_projection[i].weight)
    model.train(dropout)
    ids = torch.randint(5, 30, (QUERIES * (1 + ITEMS), 6))
    mask = torch.ones_like(ids)
    mask[1, 3:] = 0
    labels = torch.randn(QUERIES, ITEMS)

    def loss():
        torch.manual_seed(1)
        return model(ids[:QUERIES], mask[:QUERIES], ids[QUERIES:], mask[QUERIES:], labels).loss

    weights = [w for name, w in model.named_parameters() if ".pooler." not in name]
    gradients = torch.autograd.grad(loss(), weights)
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    for _ in range(3):
        direction = [torch.randn_like(weight) for weight in weights]
        values = []
        with torch.no_grad():
            for step in (1e-6, -2e-6, 1e-6):
                for weight, change in zip(weights, direction, strict=True):
                    weight.add_(step * change)
                values.append(loss())
        wanted = (values[0] - values[1]) / 2e-6
        got = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-7)
