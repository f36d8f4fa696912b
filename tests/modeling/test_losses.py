"""The training losses against their formulas in numpy."""

import numpy as np
import pytest
import torch

from hypserini.errors import ModelError
from hypserini.modeling import QNet, QNetConfig
from hypserini.modeling.batch_scores import BatchScores
from hypserini.modeling.losses import needs_labels, similarity_losses

QUERIES, ITEMS, DIM = 3, 4, 6


@pytest.fixture
def q_net():
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(QUERIES, i, o, generator=generator) for i, o in ((DIM, DIM), (DIM, 1))]
    return QNet(QNetConfig((DIM, DIM, 1)), matrices, [torch.randn(QUERIES, DIM)])


@pytest.fixture
def documents():
    return torch.randn(QUERIES * ITEMS, DIM, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def scores(q_net, documents):
    return q_net(documents).numpy().astype(np.float64)  # [q, q * items]


def own(scores):
    return np.stack([scores[i, i * ITEMS : (i + 1) * ITEMS] for i in range(QUERIES)])


def cross_entropy(similarity, target):
    logits = similarity - similarity.max(1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_probabilities[np.arange(len(target)), target].mean()


def compute(q_net, documents, name, labels=None, **kwargs):
    ((given, loss),) = similarity_losses([name], [kwargs])
    assert given == name
    return loss(BatchScores(q_net, documents), labels).item()


def test_margin_mse(q_net, documents, scores):
    labels = torch.randn(QUERIES, ITEMS, generator=torch.Generator().manual_seed(2))
    student, teacher = own(scores), labels.numpy().astype(np.float64)
    margins = (student[:, :1] - student[:, 1:]) - (teacher[:, :1] - teacher[:, 1:])
    got = compute(q_net, documents, "margin_mse", labels, scale=0.5)
    assert got == pytest.approx(0.5 * (margins**2).mean(), rel=1e-5)


def log_softmax(x):
    return x - x.max(1, keepdims=True) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1))[:, None]


@pytest.mark.parametrize(("temperature", "teacher_temperature"), [(1.0, 1.0), (0.5, 2.0)])
def test_kl_divergence(q_net, documents, scores, temperature, teacher_temperature):
    labels = 3 * torch.randn(QUERIES, ITEMS, generator=torch.Generator().manual_seed(2))
    student = log_softmax(own(scores) / temperature)
    teacher = log_softmax(labels.numpy().astype(np.float64) / teacher_temperature)
    kwargs = {"temperature": temperature, "teacher_temperature": teacher_temperature, "scale": 3.0}
    got = compute(q_net, documents, "kl_divergence", labels, **kwargs)
    wanted = 3.0 * (np.exp(teacher) * (teacher - student)).sum(1).mean()
    assert got == pytest.approx(wanted, rel=1e-5)
    assert compute(q_net, documents, "kl_divergence", torch.tensor(own(scores))) == pytest.approx(
        0.0, abs=1e-6
    )


# The reference's scores, labels and losses; recorded, see ../shared/golden.
GOLDEN_LABELS = [[5.0, 1.5, -2.0], [3.0, 2.5, 0.25]]
GOLDEN = [
    (
        [
            [-2.14357212, -2.02378305, -1.8678345, -1.83075285, -2.02447478, -1.52591524],
            [-1.52342217, -1.29955208, -1.12839701, -0.86001309, -0.87680117, -0.86267901],
        ],
        (18.455142974853516, 0.6386080384254456),
    ),
    (
        [
            [0.78932194, 0.96661856, 0.6075216, 0.91863104, 1.2131999, 0.90521363],
            [0.98016692, 0.93574273, 1.01698269, 1.41924304, 0.75599643, 1.00246129],
        ],
        (16.37022590637207, 0.6287034749984741),
    ),
]


@pytest.mark.parametrize(("scores", "wanted"), GOLDEN)
def test_the_losses_are_those_of_the_reference(scores, wanted):
    # With unit vectors as documents, the weights of a q-net without blocks are its scores.
    weights = torch.tensor(scores, dtype=torch.float64).unsqueeze(-1)
    batch = BatchScores(QNet(QNetConfig((6, 1)), [weights], []), torch.eye(6, dtype=torch.float64))
    losses = similarity_losses(
        ["margin_mse", "cross_entropy"],
        [{}, {"use_in_batch_negatives": True, "only_use_first_item": True}],
    )
    got = [loss(batch, torch.tensor(GOLDEN_LABELS)).item() for _, loss in losses]
    assert got == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("loss_type", "loss_kwargs", "labels"),
    [
        (["cross_entropy"], [{"use_in_batch_negatives": True}], False),
        (
            ["margin_mse", "cross_entropy"],
            [{}, {"use_in_batch_negatives": True, "only_use_first_item": True}],
            True,
        ),
        (["margin_mse"], [{"scale": 1.0}], True),
        (["cross_entropy"], [{"use_query_embedding_representation": False}], False),
        (["kl_divergence", "cross_entropy"], [None, {}], True),
    ],
)
def test_configs_of_the_paper_are_accepted(loss_type, loss_kwargs, labels):
    assert [name for name, _ in similarity_losses(loss_type, loss_kwargs)] == loss_type
    assert needs_labels(loss_type) is labels
    assert needs_labels(loss_type[-1]) is (loss_type == ["margin_mse"])


def test_one_kind_of_loss_may_be_used_twice(q_net, documents):
    losses = similarity_losses(
        ["cross_entropy", "cross_entropy"], [{}, {"use_in_batch_negatives": False}]
    )
    assert [name for name, _ in losses] == ["cross_entropy", "cross_entropy_2"]
    batch = BatchScores(q_net, documents)
    assert losses[0][1](batch, None) != losses[1][1](batch, None)


def test_half_precision_scores_keep_the_teachers_margins(q_net, documents):
    """In bfloat16, margins of teachers' scores near 100 would be rounded to half a unit."""
    labels = torch.tensor([[100.3, 100.2, 99.9, 99.8]] * QUERIES)
    scores = BatchScores(q_net.to(dtype=torch.bfloat16), documents.bfloat16())
    student = (scores.own[:, :1] - scores.own[:, 1:]).float()
    wanted = scores.own.float()[:, :1] - scores.own.float()[:, 1:] - labels[:, :1] + labels[:, 1:]
    assert not torch.equal(student, scores.own.float()[:, :1] - scores.own.float()[:, 1:])
    ((_, loss),) = similarity_losses(["margin_mse"], [{}])
    assert loss(scores, labels).item() == pytest.approx(wanted.square().mean().item(), rel=1e-6)


def test_alone_there_are_no_other_devices(q_net, documents):
    ((_, loss),) = similarity_losses(["cross_entropy"], [{"cross_device_negatives": True}])
    wanted = compute(q_net, documents, "cross_entropy")
    assert loss(BatchScores(q_net, documents, training=True), None).item() == wanted


@pytest.mark.parametrize(
    ("kwargs", "columns", "target"),
    [
        ({}, "all", [0, 4, 8]),
        ({"only_use_first_item": True}, "first", [0, 1, 2]),
        ({"use_in_batch_negatives": False}, "own", [0, 0, 0]),
        ({"use_query_embedding_representation": False, "scale": 3.0}, "all", [0, 4, 8]),
    ],
)
def test_cross_entropy(q_net, documents, scores, kwargs, columns, target):
    similarity = {"all": scores, "first": scores[:, ::ITEMS], "own": own(scores)}[columns]
    got = compute(q_net, documents, "cross_entropy", **kwargs)
    wanted = kwargs.get("scale", 1.0) * cross_entropy(similarity, np.array(target))
    assert got == pytest.approx(wanted, rel=1e-5)


def test_scores_of_a_batch_agree_however_they_are_asked_for(q_net, documents, scores):
    directly = BatchScores(q_net, documents)
    after_all = BatchScores(q_net, documents)
    np.testing.assert_allclose(after_all.all.numpy(), scores, atol=1e-6)
    np.testing.assert_allclose(after_all.own.numpy(), own(scores), atol=1e-6)
    np.testing.assert_allclose(directly.own.numpy(), own(scores), atol=1e-6)
    np.testing.assert_allclose(directly.first.numpy(), scores[:, ::ITEMS], atol=1e-6)


def test_one_query_with_one_document_has_a_loss(q_net, documents):
    """Shapes of 1 keep their axes."""
    ((_, loss),) = similarity_losses(["cross_entropy"], [{}])
    assert loss(BatchScores(q_net[0], documents[:1]), None).item() == 0.0


def test_what_cannot_be_computed_is_refused(q_net, documents):
    with pytest.raises(ModelError, match=r"'triplet'.*margin_mse, .*kl_divergence"):
        similarity_losses(["triplet"], [{}])
    with pytest.raises(ModelError, match=r"margin"):
        similarity_losses(["cross_entropy"], [{"margin": 2}])
    with pytest.raises(ModelError, match=r"labels"):
        compute(q_net, documents, "margin_mse")
    with pytest.raises(ModelError, match=r"\[3, 2\].*\[3, 4\]"):
        compute(q_net, documents, "margin_mse", torch.zeros(3, 2))
    with pytest.raises(ModelError, match=r"kl_divergence .*labels"):
        compute(q_net, documents, "kl_divergence")
    with pytest.raises(ModelError, match=r"without use_in_batch_negatives"):
        compute(q_net, documents[:3], "cross_entropy", use_in_batch_negatives=False)
    with pytest.raises(ModelError, match=r"cross_device_negatives without"):
        similarity_losses(
            ["cross_entropy"], [{"use_in_batch_negatives": False, "cross_device_negatives": True}]
        )
    with pytest.raises(ModelError, match=r"temperature 0"):
        similarity_losses(["kl_divergence"], [{"teacher_temperature": 0}])
    with pytest.raises(ModelError, match=r"11 documents .* 3 queries"):
        BatchScores(q_net, documents[:11])
    assert similarity_losses([""], [{}]) == []
