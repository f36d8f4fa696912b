"""The linear view that tangent search bends to the scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hypserini.search.modes.slope import MOST, RIDGE, Slopes


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


def learnt(prior: np.ndarray, *parts: tuple[np.ndarray, np.ndarray], by_angle=False) -> Slopes:
    """The slope of one query, from the vectors and scores of some rounds."""
    slopes = Slopes(torch.from_numpy(prior)[None], torch.tensor([by_angle]))
    for vectors, scores in parts:
        slopes.learn(torch.from_numpy(vectors)[None], torch.from_numpy(scores)[None])
    return slopes


@pytest.mark.parametrize("by_angle", [False, True])
def test_it_is_the_ridge_regression_of_all_scores_so_far(numbers, by_angle: bool) -> None:
    prior, vectors, scores = numbers
    used = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if by_angle else vectors
    rounds = [slice(0, 30), slice(30, 64), slice(64, 90)]
    for number, last in enumerate(rounds, 1):
        parts = [(vectors[part], scores[part]) for part in rounds[:number]]
        found = learnt(prior, *parts, by_angle=by_angle).directions[0]
        assert np.allclose(found, ridge(prior, used[: last.stop], scores[: last.stop]), atol=2e-3)


def test_queries_learn_together_as_each_alone(numbers) -> None:
    prior, vectors, scores = numbers
    other = -prior, vectors[::-1].copy() * 2, np.cos(scores)
    slopes = Slopes(torch.from_numpy(np.stack([prior, other[0]])), torch.tensor([False, True]))
    slopes.learn(
        torch.from_numpy(np.stack([vectors, other[1]])),
        torch.from_numpy(np.stack([scores, other[2]])),
    )
    alone = [learnt(prior, (vectors, scores)), learnt(other[0], other[1:], by_angle=True)]
    for found, one in zip(slopes.directions, alone, strict=True):
        assert torch.allclose(found, one.directions[0], atol=1e-4)
    assert torch.equal(slopes.only(torch.tensor([False, True])).directions, slopes.directions[1:])


def test_of_many_the_best_are_learnt_from(numbers) -> None:
    prior, _, _ = numbers
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((3 * MOST, 40), dtype=np.float32)
    scores = generator.standard_normal(3 * MOST, dtype=np.float32)
    parts = np.array_split(np.arange(3 * MOST), 5)
    found = learnt(prior, *((vectors[part], scores[part]) for part in parts)).directions[0]
    best = np.argsort(-scores)[:MOST]
    assert np.allclose(found, ridge(prior, vectors[best], scores[best]), atol=1e-3)


@pytest.mark.parametrize("score", [np.inf, -np.inf, 3e38])
def test_scores_beyond_all_bounds_leave_it_as_it_was(numbers, score: float) -> None:
    prior, vectors, scores = numbers
    before = learnt(prior, (vectors[:64], scores[:64]))
    extreme = np.array([score, -score], np.float32)
    after = learnt(prior, (vectors[:64], scores[:64]), (vectors[64:66], extreme))
    assert after.directions.isfinite().all()
    if np.isinf(score):
        assert torch.equal(after.directions, before.directions)


def test_one_document_or_the_same_again_and_again_says_nothing(numbers) -> None:
    prior, vectors, _ = numbers
    ones = np.ones(9, np.float32)
    once, often = (vectors[:1], ones[:1]), (vectors[:1].repeat(9, axis=0), ones)
    assert np.allclose(learnt(prior, once).directions[0], prior, atol=1e-5)
    assert np.allclose(learnt(prior, once, often).directions[0], prior, atol=1e-3)
