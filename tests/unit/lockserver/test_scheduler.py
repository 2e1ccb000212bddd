"""Choosing work: what may be granted, and what is best."""

from dataclasses import replace

from graphbed.graph.partition import Bucket, Partition
from services.lockserver.dealing import deal
from services.lockserver.plan import Plan
from services.lockserver.scheduler import Board, NoWork, Work, choose
from tests.unit.lockserver.examples import bipartite_plan, grid, make_config, make_schema, square_plan

EMPTY = Board(done={}, num_epochs=2, trained=frozenset(), busy=frozenset(), at_hand=frozenset())


def partitions(*indices: int, name: str = "e") -> frozenset[Partition]:
    return frozenset(Partition(name, index) for index in indices)


def chosen(plan: Plan, board: Board) -> Work:
    work = choose(plan, board)
    assert isinstance(work, Work)
    return work


def test_a_lease_covers_all_due_buckets_between_and_within_two_groups() -> None:
    plan = square_plan(8, num_groups=4)
    work = chosen(plan, EMPTY)
    group_of = deal(plan, 0).lhs
    inside = [index for index in range(8) if group_of[index] in work.groups]
    assert len(work.groups) == 2
    assert len(inside) == 4
    assert set(work.buckets) == {Bucket(i, j) for i in inside for j in inside}
    assert set(work.partitions) == partitions(*inside)


def test_one_group_is_one_lease_with_everything() -> None:
    work = chosen(square_plan(3, num_groups=1), EMPTY)
    assert len(work.buckets) == 9


def test_sides_of_different_types_are_leased_as_one_group_of_each() -> None:
    plan = bipartite_plan(4, 6, num_groups=2)
    work = chosen(plan, EMPTY)
    assert len(work.buckets) == 2 * 3
    assert len(work.partitions) == 2 + 3


def test_what_is_done_is_not_due() -> None:
    plan = square_plan(2)
    work = chosen(plan, replace(EMPTY, done={Bucket(0, 0): 1, Bucket(0, 1): 1, Bucket(1, 0): 1}))
    assert work.buckets == (Bucket(1, 1),)
    assert work.partitions == (Partition("e", 1),)


def test_nothing_is_due_when_every_bucket_has_its_epochs() -> None:
    plan = square_plan(2)
    assert choose(plan, replace(EMPTY, done=dict.fromkeys(plan.edges, 2))) is NoWork.NOTHING_DUE


def test_work_that_needs_a_busy_partition_is_not_granted() -> None:
    plan = square_plan(4)
    work = chosen(plan, replace(EMPTY, busy=partitions(0, 1), trained=partitions(0, 1, 2, 3)))
    assert set(work.partitions) == partitions(2, 3)
    assert choose(plan, replace(EMPTY, busy=partitions(0, 1, 2))) is NoWork.PARTITIONS_BUSY


def test_in_the_first_epoch_a_second_trainer_waits_for_a_trained_partition() -> None:
    plan = square_plan(4)
    assert choose(plan, replace(EMPTY, busy=partitions(0, 1))) is NoWork.FIRST_EPOCH
    work = chosen(plan, replace(EMPTY, busy=partitions(0, 1), trained=partitions(3)))
    assert set(work.partitions) == partitions(2, 3)


def test_the_first_epoch_rule_is_waived_where_it_would_block_everybody() -> None:
    # Two islands: {0, 1} is trained through, and nothing of {2, 3} touches it.
    edges = {Bucket(i, j): 1 for i in range(4) for j in range(4) if (i < 2) == (j < 2)}
    schema = make_schema({"e": [5] * 4}, [("r", "e", "e")], edges)
    plan = Plan.from_config(make_config(schema, num_epochs=1), schema)
    done = {bucket: 1 for bucket in edges if bucket.lhs < 2}
    board = replace(EMPTY, num_epochs=1, done=done, trained=partitions(0, 1))
    assert set(chosen(plan, board).partitions) == partitions(2, 3)


def test_the_next_epoch_begins_where_nothing_of_this_one_is_due() -> None:
    plan = square_plan(3)
    done = {bucket: 1 if 2 not in (bucket.lhs, bucket.rhs) else 0 for bucket in plan.edges}
    # Partition 2 has work of epoch 0, with 0 and with 1: neither may go on, though they are free.
    board = replace(EMPTY, done=done, trained=partitions(0, 1, 2))
    assert chosen(plan, board).epoch == 0
    assert choose(plan, replace(board, busy=partitions(2))) is NoWork.PARTITIONS_BUSY
    finished = dict.fromkeys(plan.edges, 1)
    assert chosen(plan, replace(board, done=finished, busy=partitions(2))).epoch == 1


def test_a_trainer_keeps_the_partitions_it_has() -> None:
    plan = square_plan(6, num_groups=6)
    trained = partitions(*range(6))
    for index in range(6):
        other = (index + 1) % 6
        done = {Bucket(i, j): 1 for i in (index, other) for j in (index, other)}
        work = chosen(plan, replace(EMPTY, done=done, trained=trained, at_hand=partitions(index, other)))
        assert len({index, other} & {partition.index for partition in work.partitions}) == 1


def test_of_equal_work_the_larger_comes_first() -> None:
    edges = {**grid(4, 4, edges=10), Bucket(1, 3): 500}
    schema = make_schema({"e": [5] * 4}, [("r", "e", "e")], edges)
    plan = Plan.from_config(make_config(schema), schema)
    assert set(chosen(plan, EMPTY).partitions) == partitions(1, 3)


def test_a_choice_depends_on_its_arguments_alone() -> None:
    plan = square_plan(8, num_groups=4)
    backwards = replace(plan, edges=dict(reversed(plan.edges.items())))
    assert choose(plan, EMPTY) == choose(backwards, EMPTY)
