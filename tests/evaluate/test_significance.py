from __future__ import annotations

import math

import pytest

from hypserini.evaluate import compare, holm, paired_t_test


def test_t_test_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 2 sqrt(3) with 2 degrees of
    # freedom, for which p = 1 - t / sqrt(2 + t^2).
    t = 2 * math.sqrt(3)
    p = paired_t_test([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert paired_t_test([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]) == pytest.approx(p)


def test_t_test_at_its_edges():
    assert paired_t_test([0.5, 0.25], [0.5, 0.25]) == 1.0
    assert paired_t_test([0.75, 0.5], [0.5, 0.25]) == 0.0
    assert math.isnan(paired_t_test([0.5], [0.25]))
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_t_test([1.0], [1.0, 2.0])


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    with_nan = holm([0.01, math.nan, 0.04])
    assert with_nan[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(with_nan[1])


def test_comparisons_pair_by_topic():
    base = {"1": 0.1, "2": 0.2, "3": 0.3, "4": 0.4}
    better = {"4": 0.52, "3": 0.41, "2": 0.3, "1": 0.19}
    same = dict(base)
    first, second = compare(base, [better, same])
    assert first.difference == pytest.approx(0.105)
    assert first.p == pytest.approx(2 * paired_t_test([0.19, 0.3, 0.41, 0.52], [*base.values()]))
    assert first.significant()
    assert (second.difference, second.p, second.significant()) == (0.0, 1.0, False)
