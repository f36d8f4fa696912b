"""The q-net against a plain numpy oracle, the reference's recorded numbers, and itself."""

import itertools
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from hypserini.errors import ModelError
from hypserini.modeling import QNet, QNetConfig, q_net_config, scoring
from hypserini.modeling.scoring import score_groups_dense

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
ERF = np.vectorize(math.erf)
ACTIVATION = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + ERF(x / math.sqrt(2))),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
}


def normalize(x):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)


def oracle(config: QNetConfig, matrices, vectors, x):
    """Scores [n] of documents [n, dim] for one query, from the formula, in float64."""
    for i, bias in enumerate(vectors):
        y = ACTIVATION[config.activation_type](x @ matrices[i] + bias)
        last = i == len(vectors) - 1
        if config.do_layer_norm and config.layer_norm_before_residual:
            y = normalize(y)
        if config.do_residual_on_last if last else config.do_residual:
            y = y + x
        if config.do_layer_norm and not config.layer_norm_before_residual:
            y = normalize(y)
        x = y
    return (x @ matrices[-1])[:, 0]


def make(config: QNetConfig, queries: int = 3, dtype=torch.float64, seed: int = 0) -> QNet:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    matrices = [random(queries, o, i).transpose(1, 2) / i**0.5 for i, o in config.matrix_shapes]
    return QNet(config, matrices, [random(queries, size) for size in config.vector_sizes])


def expected(q_net: QNet, x: torch.Tensor) -> np.ndarray:
    return np.stack(
        [
            oracle(
                q_net.config,
                [matrix[i].double().numpy() for matrix in q_net.matrices],
                [vector[i].double().numpy() for vector in q_net.vectors],
                x.double().numpy(),
            )
            for i in range(len(q_net))
        ]
    )


def documents(n: int, dim: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(9), dtype=dtype)


CONFIGS = (
    [QNetConfig((8, 8, 8, 1), activation_type=activation) for activation in ACTIVATION]
    + [
        QNetConfig(
            (8, 8, 8, 1),
            do_layer_norm=norm,
            do_residual=residual,
            do_residual_on_last=residual and on_last,
            layer_norm_before_residual=before,
        )
        for norm, residual, on_last, before in itertools.product([True, False], repeat=4)
    ]
    + [
        QNetConfig((8, 1)),
        QNetConfig((8, 8, 1)),
        QNetConfig((8, 6, 4, 1), do_residual=False),
        QNetConfig((8, 6, 4, 1), do_residual=False, do_layer_norm=False),
        # Wide enough for the fused products, one of them with each way out of the usual.
        QNetConfig((160, 160, 160, 1)),
        QNetConfig((160, 192, 160, 1), do_residual=False, activation_type="gelu"),
        QNetConfig((160, 160, 1), do_residual_on_last=True, layer_norm_before_residual=False),
    ]
)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_scores_are_those_of_the_formula(config):
    q_net = make(config)
    x = documents(70, config.dim)
    wanted = expected(q_net, x)
    np.testing.assert_allclose(q_net(x).numpy(), wanted, atol=1e-9)
    groups = torch.stack([x, x.flip(0), x])
    np.testing.assert_allclose(q_net(groups)[1].numpy(), wanted[1][::-1], atol=1e-9)
    np.testing.assert_allclose(q_net.score(x).numpy(), wanted, atol=1e-6, rtol=1e-6)
    single = q_net.to(dtype=torch.float32)
    np.testing.assert_allclose(single.score(x.float()).numpy(), wanted, atol=1e-4)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="golden data does not lie beside the checkout")
def test_golden_cases():
    cases = json.loads((GOLDEN / "q_net_options.json").read_text())
    data = np.load(GOLDEN / "q_net_options.npz")
    assert len(cases) == 21
    for case in cases:
        k = case.pop("case")
        config = q_net_config(case)
        q_net = QNet(
            config,
            [torch.from_numpy(data[f"c{k}_matrix_{i}"]) for i in range(len(config.matrix_shapes))],
            [
                torch.from_numpy(data[f"c{k}_vector_{i}"]).squeeze(-1)
                for i in range(len(config.vector_sizes))
            ],
        )
        x, y = torch.from_numpy(data[f"c{k}_x"]), data[f"c{k}_y"][..., 0]
        np.testing.assert_allclose(q_net(x).numpy(), y, atol=1e-5, err_msg=f"case {k}")
        for i in range(len(q_net)):
            np.testing.assert_allclose(q_net[i].score(x[i]).numpy()[0], y[i], atol=1e-5)


def test_dead_units_score_exactly_zero():
    q_net = make(QNetConfig((8, 8, 1)), dtype=torch.float32)
    q_net.vectors[0].fill_(-1000.0)
    assert (q_net.score(documents(5, 8)) == 0).all()


def test_packed_weights_score_alike_and_equal_documents_tie():
    q_net = make(QNetConfig((160, 160, 160, 160, 1)), dtype=torch.float32)
    x = documents(1024, 160, torch.float32)
    x[64:] = x[3]
    wanted = expected(q_net, x)
    seen = set()
    for rows in (1024, 64, 256, 1024, 1024, 1024, 1024, 192, 1024):  # weights are packed on the way
        scores = q_net.score(x[:rows])
        np.testing.assert_allclose(scores.numpy(), wanted[:, :rows], atol=1e-4)
        seen.update(scores[1, 64:].tolist() or [scores[1, 3].item()])
    assert len(seen) == 1


@pytest.mark.parametrize("dim", [32, 128, 160])
def test_a_query_alone_scores_as_in_a_batch_to_the_last_bit(dim):
    q_net = make(QNetConfig((dim, dim, dim, 1)), queries=5, dtype=torch.float32)
    x = documents(1024, dim, torch.float32)
    together = q_net.score(x)
    for i, one in enumerate(q_net):
        assert torch.equal(one.score(x)[0], together[i])
        assert torch.equal(one.score(x[320:384])[0], together[i, 320:384])


@pytest.mark.parametrize("rows", [1, 63, 64, 130, 2000])
def test_the_number_of_threads_changes_no_score(rows):
    q_net = make(QNetConfig((160, 160, 160, 1)), queries=5, dtype=torch.float32)
    x = documents(rows, 160, torch.float32)
    before = torch.get_num_threads()
    try:
        scores = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            scores.append(q_net.score(x))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(scores[0].numpy(), expected(q_net, x), atol=1e-4)
    assert torch.allclose(scores[0], scores[1], atol=1e-5)


@pytest.mark.parametrize(("activation", "calls"), [("relu", 6), ("gelu", 0)])
def test_bias_and_relu_are_part_of_a_long_product(monkeypatch, activation: str, calls: int):
    """As on a graphics card."""
    q_net = make(QNetConfig((48, 48, 48, 1), activation_type=activation), dtype=torch.float32)
    x = documents(scoring.FUSED_ROWS + 70, 48, torch.float32)
    plain, few = q_net.score(x), q_net.score(x[:640])
    used, fused = [], torch._addmm_activation
    monkeypatch.setattr(torch, "_addmm_activation", lambda *a: used.append(a) or fused(*a))
    monkeypatch.setattr(scoring, "FUSING", ("cpu",))
    torch.testing.assert_close(q_net.score(x), plain, rtol=1e-5, atol=1e-5)
    assert len(used) == calls
    torch.testing.assert_close(q_net.score(x[:640]), few, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_of_narrow_vectors_are_not_rounded(dtype):
    """A bi-encoder's scores: rounded to a narrow format, they would tie by the dozen."""
    q_net = make(QNetConfig((32, 1)), dtype=dtype)
    x = documents(5000, 32, dtype)
    wanted = q_net.matrices[0].squeeze(-1).double() @ x.double().T
    torch.testing.assert_close(q_net.score(x).double(), wanted, rtol=1e-5, atol=1e-5)


def test_several_threads_may_score_with_one_q_net():
    q_net = make(QNetConfig((160, 160, 160, 1)), dtype=torch.float32)
    x = documents(4096, 160, torch.float32)
    wanted = torch.from_numpy(expected(q_net, x)).float()

    def score(start: int) -> torch.Tensor:
        return q_net.score(x[start : start + 512])

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            scores = torch.cat(list(pool.map(score, range(0, 4096, 512))), dim=1)
            assert torch.allclose(scores, wanted, atol=1e-4)


@pytest.mark.parametrize("dim", [32, 160])
def test_score_takes_other_dtypes_and_writes_where_it_is_told(dim):
    q_net = make(QNetConfig((dim, dim, 1)), dtype=torch.float32)
    x = documents(20, dim)
    wanted = expected(q_net, x)
    out = torch.full((30, len(q_net)), 7.0).t()[:, :20]  # strides of its own, part of a buffer
    assert q_net.score(x, out) is out
    np.testing.assert_allclose(out.numpy(), wanted, atol=1e-4)
    half = q_net.to(dtype=torch.bfloat16).score(x)
    assert half.dtype is torch.float32
    np.testing.assert_allclose(half.numpy(), wanted, atol=0.15)
    assert not np.allclose(half.numpy(), wanted, atol=1e-5)


def test_documents_of_each_querys_own_score_as_in_its_block():
    for sizes in ((32, 32, 32, 1), (32, 1)):
        q_net = make(QNetConfig(sizes), queries=3)
        groups = documents(3 * 64, 32).view(3, 64, 32)
        found = q_net.score_groups(groups)
        assert found.dtype is torch.float32
        for one, group, scores in zip(q_net, groups, found, strict=True):
            assert torch.equal(one.score(group)[0], scores)
        assert torch.allclose(score_groups_dense(q_net, groups), found, atol=1e-5)
        assert q_net.score_groups(groups[:, :0]).shape == (3, 0)


def test_the_gradient_at_a_document_is_the_scores_slope():
    q_net = make(QNetConfig((6, 6, 6, 1)))
    x = documents(4, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: q_net(x), x)


def test_dropout_is_for_training_alone():
    config = QNetConfig((32, 32, 1), do_dropout=True, dropout_prob=0.5)
    q_net = make(config)
    x = documents(50, 32)
    assert torch.equal(q_net(x), q_net(x))
    assert not torch.allclose(q_net(x, training=True), q_net(x))


def test_a_batch_is_a_sequence():
    q_net = make(QNetConfig((8, 8, 1)), queries=5)
    x = documents(3, 8)
    whole = q_net(x)
    assert len(q_net) == 5
    assert torch.equal(q_net[1](x), whole[1:2])
    assert torch.equal(q_net[-1](x), whole[4:])
    assert torch.allclose(q_net[1:3](x), whole[1:3])
    assert torch.allclose(q_net[[4, 0]](x), whole[[4, 0]])
    assert torch.allclose(QNet.cat([*q_net])(x), whole)
    with pytest.raises(IndexError):
        q_net[5]
    assert q_net.dim == 8
    assert q_net.to(dtype=torch.float32).dtype is torch.float32


def test_tensors_rebuild_the_q_net():
    q_net = make(QNetConfig((8, 6, 1), do_residual=False))
    tensors = q_net.tensors()
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    again = QNet.from_tensors(q_net.config, tensors)
    x = documents(3, 8)
    assert torch.equal(again(x), q_net(x))
    del tensors["vector_0"]
    with pytest.raises(ModelError, match=r"vector_0"):
        QNet.from_tensors(q_net.config, tensors)


def test_wrong_shapes_are_named():
    config = QNetConfig((8, 8, 1))
    good = make(config)
    with pytest.raises(ModelError, match=r"vector_0 .*\[3, 7\].*\[3, 8\]"):
        QNet(config, good.matrices, [good.vectors[0][:, :7]])
    with pytest.raises(ModelError, match=r"3 tensors"):
        QNet(config, good.matrices, [])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_names_its_query(value):
    q_net = make(QNetConfig((8, 8, 1)))
    q_net.check_finite(["a", "b", "c"])
    q_net.matrices[0][1, 2, 3] = value
    with pytest.raises(ModelError, match=r"query b "):
        q_net.check_finite(["a", "b", "c"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vector_dimensions": [8, 1], "do_layernorm": True}, "do_layernorm"),
        ({"activation_type": "relu"}, "vector_dimensions"),
        ({"vector_dimensions": [8, 2]}, "the last of them 1"),
        ({"vector_dimensions": [1]}, "two or more"),
        ({"vector_dimensions": [8, 8, 1], "activation_type": "swish"}, "swish.*relu, tanh"),
        ({"vector_dimensions": [8, 6, 4, 1]}, "block 0 .* 8 into 6"),
        (
            {"vector_dimensions": [8, 8, 1], "do_residual": False, "do_residual_on_last": True},
            "do_residual_on_last needs do_residual",
        ),
        ({"vector_dimensions": [8, 8, 1], "dropout_prob": 1.5}, "1.5"),
        ({"vector_dimensions": [8, 1], "q_net_type": "mystery"}, "mystery.*register_q_net"),
    ],
)
def test_impossible_configs_are_refused(values, message):
    with pytest.raises(ModelError, match=message):
        q_net_config(values)


def test_config_survives_json():
    config = QNetConfig((8, 8, 1), activation_type="tanh", do_residual_on_last=None)
    assert config.do_residual_on_last is True
    assert q_net_config(json.loads(json.dumps(config.to_dict()))) == config
