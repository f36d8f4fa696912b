"""A q-net beside the inner product with a vector of the query: score, gradients, files."""

import itertools
from dataclasses import replace

import pytest
import torch

from hypserini.encode.saved import SavedQNets, save_q_nets
from hypserini.errors import ModelError
from hypserini.modeling import QNet, QNetConfig, q_net_config, recompute

CONFIGS = [
    QNetConfig((8, 8, 8, 1), add_query_vector=True),
    QNetConfig((8, 1), add_query_vector=True),
    QNetConfig((160, 160, 1), add_query_vector=True),  # wide enough for the fused products
]


def random(seed: int, *shape: int, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def make(config: QNetConfig, queries: int = 3, dtype=torch.float64) -> QNet:
    seeds = itertools.count()
    return QNet(
        config,
        [random(next(seeds), queries, i, o, dtype=dtype) / i for i, o in config.matrix_shapes],
        [random(next(seeds), queries, size, dtype=dtype) for size in config.vector_sizes],
        random(next(seeds), queries, config.dim, dtype=dtype),
    )


def network_of(q_net: QNet) -> QNet:
    return QNet(replace(q_net.config, add_query_vector=False), q_net.matrices, q_net.vectors)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_inner_product_is_added_to_the_networks_score(config):
    q_net = make(config)
    x = random(9, 70, config.dim)
    wanted = network_of(q_net)(x) + q_net.query_vectors @ x.t()
    assert torch.allclose(q_net(x), wanted)
    groups = torch.stack([x, x.flip(0), x])
    assert torch.allclose(q_net(groups)[1], wanted[1].flip(0))
    assert torch.allclose(q_net.score(x).double(), wanted, atol=1e-5)
    single = q_net.to(dtype=torch.float32)
    assert torch.allclose(single.score(x).double(), wanted, atol=1e-4)
    half = q_net.to(dtype=torch.bfloat16)
    assert torch.allclose(half.score(x).double(), wanted, atol=0.5)
    assert q_net.score(x[:0]).shape == (3, 0)
    assert torch.allclose(q_net[[2, 0]](x), wanted[[2, 0]])
    assert torch.allclose(QNet.cat([*q_net])(x), wanted)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_gradients_have_the_query_vector(config):
    q_net = make(config)
    x = random(9, 5, config.dim)
    moved = x.clone().requires_grad_()
    wanted = torch.stack(
        [torch.autograd.grad(row.sum(), moved, retain_graph=True)[0] for row in q_net(moved)]
    )
    assert torch.allclose(q_net.gradient(x), wanted)
    scores, mean = q_net.tangent(x)
    assert torch.allclose(scores, q_net(x))
    assert torch.allclose(mean, wanted.mean(1))


def test_recomputing_gives_the_query_vector_its_gradient(monkeypatch):
    config = CONFIGS[0]
    found = []
    for kept in (512 << 20, 0):
        monkeypatch.setattr(recompute, "KEEP_BYTES", kept)
        q_net = make(config)
        q_net = QNet(config, q_net.matrices, q_net.vectors, q_net.query_vectors.requires_grad_())
        x = random(9, 20, config.dim).requires_grad_()
        found.append(torch.autograd.grad(q_net(x).square().sum(), [x, q_net.query_vectors]))
    for kept, again in zip(*found, strict=True):
        assert torch.allclose(kept, again)


def test_a_network_of_the_users_own_has_it_too():
    class Norm(QNet):
        def forward(self, x: torch.Tensor, training: bool) -> torch.Tensor:
            return -x.expand(len(self), *x.shape[-2:]).norm(dim=-1)

    q_net = make(CONFIGS[1])
    q_net = Norm(q_net.config, q_net.matrices, q_net.vectors, q_net.query_vectors)
    x = random(9, 5, 8)
    wanted = q_net.query_vectors @ x.t() - x.norm(dim=-1)
    assert torch.allclose(q_net(x), wanted)
    assert torch.allclose(q_net.score(x).double(), wanted, atol=1e-5)
    toward = q_net.query_vectors.unsqueeze(1) - x / x.norm(dim=-1, keepdim=True)
    assert torch.allclose(q_net.gradient(x), toward)


def test_it_is_kept_in_files(tmp_path):
    q_net = make(CONFIGS[0], dtype=torch.float32)
    save_q_nets(tmp_path / "saved", ["a", "b", "c"], [q_net], {})
    again = SavedQNets(tmp_path / "saved").load(["c", "a"])
    x = random(9, 5, 8, dtype=torch.float32)
    assert torch.equal(again(x), q_net[[2, 0]](x))
    tensors = q_net.tensors()
    del tensors["query_vector"]
    with pytest.raises(ModelError, match="query_vector"):
        QNet.from_tensors(q_net.config, tensors)


def test_configs_without_it_say_nothing_of_it():
    assert "add_query_vector" not in QNetConfig((8, 1)).to_dict()
    values = QNetConfig((8, 1), add_query_vector=True).to_dict()
    assert q_net_config(values).add_query_vector


def test_what_is_wrong_is_named():
    q_net = make(CONFIGS[1])
    with pytest.raises(ModelError, match="2 tensors was given 1"):
        QNet(q_net.config, q_net.matrices, [])
    with pytest.raises(ModelError, match=r"query_vector .*\[3, 7\].*\[3, 8\]"):
        QNet(q_net.config, q_net.matrices, [], q_net.query_vectors[:, :7])
    q_net.query_vectors[1, 2] = torch.nan
    with pytest.raises(ModelError, match="query b "):
        q_net.check_finite(["a", "b", "c"])
