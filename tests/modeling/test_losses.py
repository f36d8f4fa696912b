"""The training losses against their formulas in numpy."""

import numpy as np
import pytest
import torch

from hypserini.errors import ModelError
from hypserini.modeling import QNet, QNetConfig
from hypserini.modeling.losses import BatchScores, similarity_losses

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
    with pytest.raises(ModelError, match=r"'triplet'.*margin_mse, cross_entropy"):
        similarity_losses(["triplet"], [{}])
    with pytest.raises(ModelError, match=r"margin"):
        similarity_losses(["cross_entropy"], [{"margin": 2}])
    with pytest.raises(ModelError, match=r"labels"):
        compute(q_net, documents, "margin_mse")
    with pytest.raises(ModelError, match=r"\[3, 2\].*\[3, 4\]"):
        compute(q_net, documents, "margin_mse", torch.zeros(3, 2))
    with pytest.raises(ModelError, match=r"11 documents .* 3 queries"):
        BatchScores(q_net, documents[:11])
    assert similarity_losses([""], [{}]) == []
