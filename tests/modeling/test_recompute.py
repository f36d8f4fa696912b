"""Scoring in chunks: the same scores, gradients and dropout as at once, in less memory."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from hypserini.modeling import QNet, QNetConfig, recompute

QUERIES = 7


def make(config: QNetConfig, queries: int = QUERIES, dtype=torch.float64, kind=QNet) -> QNet:
    """Random weights in the layout that a hypernetwork makes: matrices are transposed views."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    matrices = [random(queries, o, i).transpose(1, 2) / i**0.5 for i, o in config.matrix_shapes]
    return kind(config, matrices, [random(queries, size) for size in config.vector_sizes])


def documents(*shape: int, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()


def gradients(q_net: QNet, x: torch.Tensor, score) -> tuple[torch.Tensor, list[torch.Tensor]]:
    torch.manual_seed(4)
    scores = score(x, True)
    weight = torch.linspace(0.5, 2, scores.numel(), dtype=scores.dtype).view_as(scores)
    return scores, torch.autograd.grad(scores, [x, *q_net.matrices, *q_net.vectors], weight)


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(recompute, "KEEP_BYTES", 0)
    monkeypatch.setattr(recompute, "CHUNK_BYTES", 40_000)
    monkeypatch.setattr(recompute, "GPU_CHUNK_BYTES", 40_000)


class Squared(QNet):
    """A q-net of one's own."""

    def forward(self, x, training):
        return torch.matmul(x, self.matrices[0]).square().sum(-1)


@pytest.mark.parametrize("shape", [(11, 16), (QUERIES, 11, 16)], ids=str)
@pytest.mark.parametrize("kind", [QNet, Squared])
def test_scores_and_gradients_are_those_of_all_at_once(shape, kind, little_memory):
    q_net = make(QNetConfig((16, 16, 16, 1)), kind=kind)
    x = documents(*shape)
    assert 1 < recompute.queries_at_a_time(q_net, x) < QUERIES
    got, got_gradients = gradients(q_net, x, q_net)
    scores = q_net.forward(x, False)
    torch.testing.assert_close(got, scores)
    weight = torch.linspace(0.5, 2, scores.numel(), dtype=scores.dtype).view_as(scores)
    inputs = [x, *q_net.matrices, *q_net.vectors]
    wanted = torch.autograd.grad(scores, inputs, weight, materialize_grads=True, allow_unused=True)
    for a, b in zip(got_gradients, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_only_what_is_wanted_gets_a_gradient(little_memory):
    q_net = make(QNetConfig((16, 16, 1)))
    x = documents(11, 16)
    frozen = q_net.detach()
    (of_x,) = torch.autograd.grad(frozen(x).sum(), x)
    q_net(x.detach()).sum().backward(inputs=q_net.vectors)
    assert of_x.abs().max() > 0
    assert q_net.vectors[0].grad.abs().max() > 0
    with torch.no_grad():
        assert not q_net(x).requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(q_net(x), q_net.forward(x, False))


def test_dropout_is_drawn_once(little_memory):
    """The backward pass drops what the forward pass dropped, and draws nothing itself."""
    q_net = make(QNetConfig((16, 16, 16, 1), do_dropout=True, dropout_prob=0.5))
    x = documents(11, 16)
    first, of_first = gradients(q_net, x, q_net)
    after = torch.rand(3)
    again, of_again = gradients(q_net, x, q_net)
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(of_first, of_again, strict=True))
    assert not torch.equal(first, q_net(x, training=True))
    assert not torch.equal(first, q_net(x, training=False))


def test_each_query_drops_other_inputs():
    config = QNetConfig((16, 16, 1), do_dropout=True, dropout_prob=0.5)
    one = make(config, queries=1).detach()
    q_net = QNet.cat([one] * 4)
    scores = q_net(documents(11, 16), training=True)
    assert all(not torch.equal(scores[0], other) for other in scores[1:])


def test_mixed_precision_is_kept_in_the_backward_pass(monkeypatch):
    q_net = make(QNetConfig((32, 32, 32, 1)), dtype=torch.float32)
    x = documents(40, 32, dtype=torch.float32)
    results = []
    for keep in (1 << 30, 0):
        monkeypatch.setattr(recompute, "KEEP_BYTES", keep)
        monkeypatch.setattr(recompute, "CHUNK_BYTES", keep)
        with torch.autocast("cpu", torch.bfloat16):
            scores = q_net(x)
        assert scores.dtype is torch.bfloat16
        found = torch.autograd.grad(scores.float().sum(), [x, *q_net.matrices, *q_net.vectors])
        assert all(gradient.dtype is torch.float32 for gradient in found)
        results.append((scores, *found))
    torch.testing.assert_close(results[0][0], results[1][0])
    for kept, recomputed in zip(*results, strict=True):
        error = (kept - recomputed).norm() / kept.norm()
        assert error < 0.01  # in single precision, the kept ones are further than this away
    with torch.no_grad():
        single = q_net(x)
    assert not torch.equal(single, results[0][0].float())


def peak(run) -> int:
    """The most bytes that torch held at a time, over what it held before `run`."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    held = most = 0
    for _, size in sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"):
        held += size
        most = max(most, held)
    return most


def test_scoring_takes_little_memory_beside_the_weights():
    """Issue 3, point 4, for a third of the width; benchmarks/training.py measures it whole."""
    q_net = make(QNetConfig((256,) * 7 + (1,)), queries=64, dtype=torch.float32)
    x = documents(512, 256, dtype=torch.float32)
    inputs = [x, *q_net.matrices, *q_net.vectors]
    given = sum(tensor.nbytes for tensor in inputs)
    scores: list[torch.Tensor] = []
    forward = peak(lambda: scores.append(q_net(x, training=True)))
    assert scores[0].requires_grad
    # What it made is the scores; the rest it held is more than they and far less than the weights.
    assert scores[0].nbytes < forward < 0.2 * given
    backward = peak(lambda: torch.autograd.grad(scores[0].sum(), inputs))
    assert given < backward < given + 1.2 * recompute.CHUNK_BYTES
    # Without chunks, three times the weights are kept.
    assert peak(lambda: q_net[:8].forward(x, True)) > 3 * given / 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_dropout_is_drawn_once_on_a_gpu_too(little_memory):
    q_net = make(QNetConfig((16, 16, 16, 1), do_dropout=True, dropout_prob=0.5)).to("cuda")
    x = documents(11, 16).detach().cuda().requires_grad_()

    def scores(x):
        torch.manual_seed(4)
        return q_net(x, training=True)

    assert torch.autograd.gradcheck(scores, x, nondet_tol=1e-10, fast_mode=True)
