"""The linear view that tangent search bends to the scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hypserini.search.modes.slope import MOST, RIDGE, Slope


def ridge(prior: np.ndarray, vectors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The w of the least |y - Xw|² + penalty |w - prior|², solved by its components."""
    vectors, scores, prior = (x.astype(np.float64) for x in (vectors, scores, prior))
    centred = vectors - vectors.mean(0)
    penalty = RIDGE * (centred**2).sum(1).mean()
    left = centred.T @ centred + penalty * np.eye(vectors.shape[1])
    return np.linalg.solve(left, centred.T @ (scores - scores.mean()) + penalty * prior)


@pytest.fixture
def numbers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A first view, vectors, and scores that are linear but for a quarter of them."""
    generator = np.random.default_rng(0)
    prior, truth = generator.standard_normal((2, 40), dtype=np.float32)
    vectors = 3 + generator.standard_normal((90, 40), dtype=np.float32)
    return prior, vectors, vectors @ truth + np.abs(vectors[:, 0]) * 3 + 7


@pytest.mark.parametrize("by_angle", [False, True])
def test_it_is_the_ridge_regression_of_all_scores_so_far(numbers, by_angle: bool) -> None:
    prior, vectors, scores = numbers
    slope = Slope(torch.from_numpy(prior), by_angle=by_angle)
    used = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if by_angle else vectors
    for end in (30, 64, 90):
        start = {30: 0, 64: 30, 90: 64}[end]
        slope.learn(torch.from_numpy(vectors[start:end]), torch.from_numpy(scores[start:end]))
        expected = ridge(prior, used[:end], scores[:end])
        assert np.allclose(slope.direction, expected, rtol=1e-3, atol=1e-3)


def test_of_many_the_best_are_learnt_from(numbers) -> None:
    prior, _, _ = numbers
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((3 * MOST, 40), dtype=np.float32)
    scores = generator.standard_normal(3 * MOST, dtype=np.float32)
    slope = Slope(torch.from_numpy(prior))
    for part in np.array_split(np.arange(3 * MOST), 5):
        slope.learn(torch.from_numpy(vectors[part]), torch.from_numpy(scores[part]))
    best = np.argsort(-scores)[:MOST]
    assert np.allclose(slope.direction, ridge(prior, vectors[best], scores[best]), atol=1e-3)


@pytest.mark.parametrize("score", [np.inf, -np.inf, 3e38])
def test_scores_beyond_all_bounds_leave_it_as_it_was(numbers, score: float) -> None:
    prior, vectors, scores = numbers
    slope = Slope(torch.from_numpy(prior))
    slope.learn(torch.from_numpy(vectors[:64]), torch.from_numpy(scores[:64]))
    before = slope.direction.clone()
    slope.learn(torch.from_numpy(vectors[64:66]), torch.tensor([score, -score]))
    assert slope.direction.isfinite().all()
    if np.isinf(score):
        assert torch.equal(slope.direction, before)


def test_one_document_or_the_same_again_and_again_says_nothing(numbers) -> None:
    prior, vectors, _ = numbers
    slope = Slope(torch.from_numpy(prior))
    slope.learn(torch.from_numpy(vectors[:1]), torch.ones(1))
    assert np.allclose(slope.direction, prior, atol=1e-5)
    slope.learn(torch.from_numpy(vectors[:1].repeat(9, axis=0)), torch.ones(9))
    assert np.allclose(slope.direction, prior, atol=1e-3)
