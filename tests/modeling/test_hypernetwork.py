"""The hyper head against a numpy oracle, numbers of the reference code, and the paper's start."""

import numpy as np
import pytest
import torch
from torch import nn

from hypserini.modeling import QNetConfig
from hypserini.modeling.hypernetwork import Hypernetwork

# What the paper's code (jfkback/hypencoder-paper, commit b115513) computes in float64 with the
# closed-form weights of `fill`, q-net widths 6-6-6-1 and 6-4-1, and the states and documents below.
REFERENCE = {
    "square": {
        "matrix_0[1][0]": [
            0.751717622,
            0.414040946,
            1.483099004,
            0.7728173,
            0.393094269,
            1.474830881,
        ],
        "vector_0": [
            [-1.654962271, 3.935059866, -1.268505137, -2.295596267, 3.189688415, -1.731963828],
            [3.127919174, -3.371424063, 1.112779042, 2.675986987, -4.066340743, 0.411146547],
        ],
        "output": [
            [4.362052218, -3.18702656, -1.856365103, 2.651291918, -3.727868433, -1.205567602],
            [4.698880474, -1.122116174, -4.217882682, 2.901900629, -1.612078118, -3.530754508],
        ],
        "scores": [[-12.571135591, -12.559911626, -0.388294424], [0.0, 0.0, -13.813487578]],
    },
    "narrowing": {
        "matrix_0[1][0]": [-2.494984362, -1.162458747, -2.569124563, -2.527160087],
        "vector_0": [
            [-0.43893263, 0.296471155, 0.199579951, 3.089798051],
            [0.403569497, -0.461507285, 0.785446264, 2.743743833],
        ],
        "output": [
            [0.156142755, -0.038770533, -0.215449434, -0.2907991],
            [2.185854896, -1.820086141, 1.111629149, -1.010289669],
        ],
        "scores": [
            [-0.397355702, -0.376122773, -0.447052659],
            [-5.138661661, 2.007389731, -2.602792767],
        ],
    },
}
CONFIGS = {
    "square": QNetConfig((6, 6, 6, 1)),
    "narrowing": QNetConfig((6, 4, 1), do_residual=False),
}


def wave(shape, phase: float) -> torch.Tensor:
    values = np.sin(0.7 * np.arange(int(np.prod(shape))) + phase)
    return torch.from_numpy(values.reshape(shape))


def fill(head: Hypernetwork) -> Hypernetwork:
    for k, (_, parameter) in enumerate(sorted(head.named_parameters())):
        parameter.data = wave(parameter.shape, k)
    return head


@pytest.fixture(params=CONFIGS)
def case(request):
    head = fill(Hypernetwork(nn.Identity(), CONFIGS[request.param], model_dim=8).double())
    states = wave((2, 4, 8), 0.5)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    return request.param, head, states, mask


def test_the_references_numbers(case):
    name, head, states, mask = case
    q_net = head.produce(states, mask)
    wanted = REFERENCE[name]
    got = {
        "matrix_0[1][0]": q_net.matrices[0][1, 0],
        "vector_0": q_net.vectors[0],
        "output": q_net.matrices[-1].squeeze(-1),
        "scores": q_net(wave((3, 6), 0.25)),
    }
    for key, values in wanted.items():
        np.testing.assert_allclose(got[key].detach().numpy(), values, atol=2e-9, err_msg=key)


def test_the_formula(case):
    """W = proj(LN(relu(softmax(Q K^T / s) V))) + base, s the root of the rows of a matrix."""
    _, head, states, mask = case
    q_net = head.produce(states, mask)
    weight = {name: p.detach().numpy() for name, p in head.named_parameters()}
    shapes = head.q_net_config.matrix_shapes
    for query in range(2):
        h = states[query][mask[query] == 1].numpy()
        for j in range(len(shapes) + len(head.q_net_config.vector_sizes)):
            keys, values = (
                h @ weight[f"{kind}_projections.{j}.weight"].T
                + weight[f"{kind}_projections.{j}.bias"]
                for kind in ("key", "value")
            )
            if j < len(shapes):
                kind, base, i, scale = "weight", "hyper_base_matrices", j, shapes[j][1] ** 0.5
            else:
                kind, base, i, scale = "bias", "hyper_base_vectors", j - len(shapes), 1.0
            logits = weight[f"{kind}_query_embeddings.{i}"][0] @ keys.T / scale
            attention = np.exp(logits - logits.max(1, keepdims=True))
            a = np.maximum(attention / attention.sum(1, keepdims=True) @ values, 0)
            a = (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5)
            produced = a @ weight[f"{kind}_hyper_projection.{i}.weight"].T
            produced += weight[f"{kind}_hyper_projection.{i}.bias"]
            produced += weight[f"{base}.{i}"].reshape(produced.shape)
            got = q_net.matrices[i][query].T if j < len(shapes) else q_net.vectors[i][query][None]
            np.testing.assert_allclose(got.detach().numpy(), produced, atol=1e-9)


def test_pads_change_nothing(case):
    _, head, states, mask = case
    alone = head.produce(states[1:, :2], mask[1:, :2])
    padded = head.produce(states, mask)[1]
    x = wave((3, 6), 0.25)
    assert torch.allclose(alone(x), padded(x), atol=1e-12)


def test_every_weight_is_trained(case):
    _, head, states, mask = case
    head.produce(states, mask)(wave((50, 6), 0.25)).square().sum().backward()
    without = [
        name for name, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    # A key's bias moves all logits of a row alike, so that the softmax does not see it.
    assert all("key_projections" in name and name.endswith("bias") for name in without)


def test_initialisation_is_the_papers():
    torch.manual_seed(3)
    head = Hypernetwork(nn.Identity(), QNetConfig((256, 256, 256, 1)), model_dim=64)
    base = head.hyper_base_matrices[0]
    assert base.std().item() == pytest.approx((2 / 768) ** 0.5, rel=0.02)
    assert head.weight_query_embeddings[1].std().item() == pytest.approx(10, rel=0.02)
    assert head.bias_query_embeddings[0].std().item() == pytest.approx(10, rel=0.2)
    assert head.weight_hyper_projection[0].weight.std().item() == pytest.approx(
        1 / 768**2, rel=0.02
    )
    for zero in (
        head.weight_hyper_projection[0].bias,
        head.hyper_base_vectors[1],
        head.key_projections[2].bias,
        head.value_projections[0].bias,
    ):
        assert not zero.any()
    for linear in (head.key_projections[0], head.bias_hyper_projection[0]):
        bound = linear.in_features**-0.5  # nn.Linear's own: uniform within it
        assert linear.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert head.key_projections[3].bias.any()
