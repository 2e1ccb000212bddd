"""Successive halving: how many trials run for how long, and which of them go on."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from graphbed.tuning.halving import Rung, rungs, survivors


def test_each_round_keeps_a_third_for_three_times_as_long() -> None:
    plan = rungs(trials=27, first_epochs=1, most_epochs=100, factor=3)
    assert plan == [Rung(trials=n, epochs=e) for n, e in ((27, 1), (9, 3), (3, 9), (1, 27))]


def test_no_trial_is_trained_longer_than_the_job() -> None:
    plan = rungs(trials=9, first_epochs=4, most_epochs=10, factor=3)
    assert plan == [Rung(trials=9, epochs=4), Rung(trials=3, epochs=10)]
    assert rungs(trials=2, first_epochs=8, most_epochs=5, factor=2) == [Rung(trials=2, epochs=5)]


@given(st.integers(2, 200), st.integers(1, 9), st.integers(1, 99), st.integers(2, 9))
def test_rounds_shrink_and_lengthen(trials: int, first: int, most: int, factor: int) -> None:
    plan = rungs(trials=trials, first_epochs=first, most_epochs=most, factor=factor)
    for before, after in pairwise(plan):
        assert 1 <= after.trials < before.trials and before.epochs < after.epochs <= most


def test_the_best_go_on_and_ties_go_to_the_earlier_trial() -> None:
    assert survivors({0: 0.1, 1: 0.3, 2: 0.3, 3: 0.2}, 3) == [1, 2, 3]
