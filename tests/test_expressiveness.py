"""The benchmark of what a dot product cannot do, in small."""

from benchmarks.expressiveness.exactly_one import precision
from benchmarks.expressiveness.pairs import largest


def test_a_small_hypencoder_learns_exactly_one_and_a_dot_product_does_not() -> None:
    assert precision(0, steps=150) < 0.75
    assert precision(1, steps=150) > 0.9


def test_q_nets_find_all_pairs_where_two_dimensions_are_too_few_for_a_dot_product() -> None:
    how = {"steps": 400, "restarts": 1, "most": 7}
    assert largest(2, 0, **how) < 7
    assert largest(2, 1, **how) == 7
