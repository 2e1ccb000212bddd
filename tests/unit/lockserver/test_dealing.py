"""Dealing partitions into groups."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lockserver.dealing import deal, stable_hash
from tests.unit.lockserver.examples import bipartite_plan, square_plan


@given(
    partitions=st.integers(1, 24),
    groups=st.integers(1, 24),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 9),
)
def test_sizes_of_groups_differ_by_one_at_most(partitions: int, groups: int, seed: int, epoch: int) -> None:
    dealing = deal(square_plan(partitions, num_groups=groups, seed=seed), epoch)
    sizes = Counter(dealing.lhs)
    assert len(dealing.lhs) == partitions
    assert len(sizes) == min(groups, partitions)
    assert max(sizes.values()) - min(sizes.values()) <= 1


@pytest.mark.parametrize(("partitions", "groups"), [(1, 1), (2, 2), (4, 4), (6, 4), (8, 4), (9, 5), (16, 8)])
def test_there_are_half_as_many_groups_as_partitions_unless_told(partitions: int, groups: int) -> None:
    assert len(set(deal(square_plan(partitions), 0).lhs)) == groups


def test_both_sides_of_one_type_are_dealt_as_one() -> None:
    dealing = deal(square_plan(8, num_groups=4), 3)
    assert dealing.shared
    assert dealing.lhs == dealing.rhs


def test_sides_of_different_types_are_dealt_apart_and_by_their_own_counts() -> None:
    dealing = deal(bipartite_plan(8, 3, num_groups=4), 0)
    assert not dealing.shared
    assert sorted(Counter(dealing.lhs).values()) == [2, 2, 2, 2]
    assert sorted(dealing.rhs) == [0, 1, 2]


def test_a_dealing_changes_with_the_epoch_and_the_seed_and_with_nothing_else() -> None:
    plan = square_plan(16, num_groups=4)
    assert deal(plan, 0) == deal(square_plan(16, num_groups=4, job="other"), 0)
    assert len({deal(plan, epoch).lhs for epoch in range(20)}) == 20
    assert deal(plan, 0) != deal(square_plan(16, num_groups=4, seed=1), 0)


def test_in_time_every_two_partitions_meet_in_a_group() -> None:
    plan = square_plan(8, num_groups=4)
    met = {
        (i, j)
        for epoch in range(60)
        for i in range(8)
        for j in range(i)
        if len({deal(plan, epoch).lhs[k] for k in (i, j)}) == 1
    }
    assert len(met) == 8 * 7 // 2


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert stable_hash("j", 1, (2, 3)).hex()[:16] == "27044a7325de048d"
    assert deal(square_plan(6, num_groups=6, seed=5), 2).lhs == (4, 0, 5, 2, 1, 3)
