"""The gradient of a q-net in closed form against autograd, for all options."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from hypserini.modeling import QNet, QNetConfig
from hypserini.modeling.gradient import gradient_autograd

DIM = 8
OPTIONS = [
    options
    for options in product([True, False], repeat=4)
    if options[2] or not options[3]  # a residual in the last block needs residuals
]


def q_nets(queries: int, **options) -> QNet:
    config = QNetConfig(vector_dimensions=(DIM,) * 4 + (1,), **options)
    generator = torch.Generator().manual_seed(1)
    return QNet(
        config,
        [torch.randn(queries, *shape, generator=generator) for shape in config.matrix_shapes],
        [torch.randn(queries, size, generator=generator) for size in config.vector_sizes],
    )


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "leaky_relu"])
@pytest.mark.parametrize(("norm", "before", "residual", "last"), OPTIONS)
def test_the_closed_form_is_what_autograd_finds(
    activation: str, norm: bool, before: bool, residual: bool, last: bool
) -> None:
    q_net = q_nets(
        3,
        activation_type=activation,
        do_layer_norm=norm,
        layer_norm_before_residual=before,
        do_residual=residual,
        do_residual_on_last=last,
    )
    points = torch.randn(3, 5, DIM, generator=torch.Generator().manual_seed(2))
    scores, expected = gradient_autograd(q_net, points)
    assert expected.abs().max() > 0
    torch.testing.assert_close(q_net.gradient(points), expected, rtol=1e-4, atol=1e-4)
    ours, mean = q_net.tangent(points)
    torch.testing.assert_close(ours, scores, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mean, expected.mean(1), rtol=1e-4, atol=1e-4)


def test_points_may_be_shared_and_nothing_is_tracked() -> None:
    q_net = q_nets(2)
    points = torch.randn(4, DIM, generator=torch.Generator().manual_seed(3), requires_grad=True)
    shared = q_net.gradient(points)
    assert shared.shape == (2, 4, DIM)
    assert not shared.requires_grad
    torch.testing.assert_close(shared, q_net.gradient(points.expand(2, -1, -1)))
    torch.testing.assert_close(shared[1:], q_net[1].gradient(points))


def test_a_bi_encoders_gradient_is_its_query_vector() -> None:
    vectors = torch.randn(3, DIM, 1, generator=torch.Generator().manual_seed(4))
    q_net = QNet(QNetConfig(vector_dimensions=(DIM, 1)), [vectors], [])
    gradient = q_net.gradient(torch.zeros(1, DIM))
    torch.testing.assert_close(gradient[:, 0], vectors[..., 0])
    torch.testing.assert_close(q_net[0].gradient(torch.ones(2, DIM))[0, 1], vectors[0, :, 0])


def test_a_custom_q_net_is_followed_by_autograd() -> None:
    class Squared(QNet):
        def forward(self, x: torch.Tensor, training: bool) -> torch.Tensor:
            return (torch.matmul(x, self.matrices[0]) ** 2).sum(-1)

    plain = q_nets(2)
    q_net = Squared(plain.config, plain.matrices, plain.vectors)
    x = torch.randn(3, DIM, generator=torch.Generator().manual_seed(5))
    for query in range(2):
        matrix = plain.matrices[0][query]
        torch.testing.assert_close(q_net.gradient(x)[query], 2 * x @ matrix @ matrix.T)
