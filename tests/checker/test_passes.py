"""Passes are counted where a bucket could have been granted instead."""

import pytest

from services.lockserver.plan import Plan
from tests.checker.passes import Grant, Passes, most_passes, passed_over, without
from tests.unit.lockserver.examples import bipartite_plan, square_plan

NEEDS = {"ab": "ab", "cd": "cd", "ce": "ce"}
ONCE: Passes[str] = passed_over({}, NEEDS, dict.fromkeys(NEEDS, 0), Grant("1", ["ab"], ""))


def test_a_grant_passes_over_what_is_due_and_free():
    assert {("cd", 0): {"1"}, ("ce", 0): {"1"}} == ONCE
    assert passed_over(ONCE, NEEDS, {"cd": 0}, Grant("2", ["ce"], "ab")) == {("cd", 0): {"1", "2"}}


def test_what_others_hold_is_not_passed_over_and_not_forgotten():
    assert passed_over(ONCE, NEEDS, {"cd": 0, "ce": 0}, Grant("2", [], "d")) == {
        ("cd", 0): {"1"},
        ("ce", 0): {"1", "2"},
    }


def test_the_next_epoch_counts_anew():
    assert passed_over(ONCE, NEEDS, {"cd": 1}, Grant("2", [], "")) == {("cd", 1): {"2"}}


def test_a_lease_that_came_to_nothing_passed_nothing_over():
    assert without({("ab", 0): frozenset({"1", "2"})}, {"1"}) == {("ab", 0): {"2"}}


@pytest.mark.parametrize(
    ("plan", "most"),
    [
        (square_plan(4), 3 * 6),
        (square_plan(4, num_groups=2), 16),
        (square_plan(8), 32),
        (square_plan(8, num_groups=8), 3 * 28),
        (square_plan(16, num_groups=16), 3 * 120),
        (bipartite_plan(4, 3), 3 * 12),
    ],
)
def test_a_bucket_waits_for_three_epochs_of_leases_at_most(plan: Plan, most: int):
    assert most_passes(plan) == most
