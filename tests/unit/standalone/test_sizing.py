"""Sizing: the figures against what the scheduler really grants."""

import pytest

from graphbed.graph.partition import Partition
from graphbed.graph.schema import GraphSchema
from services.lockserver.plan import Plan
from services.lockserver.scheduler import Board, NoWork, choose
from services.standalone.sizing import Sizing, size_job
from tests.unit.lockserver.examples import grid, make_config, make_schema


def square(partitions: int) -> GraphSchema:
    return make_schema({"e": [100] * partitions}, [("r", "e", "e")], grid(partitions, partitions))


def size(schema: GraphSchema, **changes: object) -> Sizing:
    config = make_config(schema, num_epochs=3, **changes)
    return size_job(config, schema, trainers=4, edges_per_second=100, bytes_per_second=1e6)


def granted(plan: Plan) -> list[tuple[Partition, ...]]:
    """The partitions of each lease of one trainer's first epoch, as the scheduler grants them."""
    done: dict[object, int] = {}
    leases = []
    while True:
        work = choose(
            plan, Board(done=dict(done), num_epochs=1, trained=frozenset(), busy=frozenset(), at_hand=frozenset())
        )
        if isinstance(work, NoWork):
            return leases
        leases.append(tuple(work.partitions))
        done |= dict.fromkeys(work.buckets, 1)


@pytest.mark.parametrize(("partitions", "groups"), [(1, 1), (2, 2), (4, 4), (8, 4), (8, 8)])
def test_leases_and_bytes_are_those_that_the_scheduler_grants(partitions: int, groups: int):
    schema = square(partitions)
    sizing = size(schema, num_groups=groups)
    plan = Plan.from_config(make_config(schema, num_groups=groups), schema)
    leases = granted(plan)
    assert sizing.leases == len(leases)
    assert sizing.epoch_bytes == sum(plan.bytes(partition) for lease in leases for partition in lease)
    assert sizing.most_trainers == max(groups // 2, 1)


def test_time_is_training_and_moving_bytes_shared_by_the_trainers_that_can_work():
    sizing = size(square(4), num_groups=4)
    assert sizing.trainers == 2
    seconds = (sizing.edges / 100 + 2 * sizing.epoch_bytes / 1e6) / 2
    assert sizing.epoch_seconds == pytest.approx(seconds)
    assert sizing.job_seconds == pytest.approx(3 * seconds)


def test_two_kinds_of_entities_are_held_one_group_of_each():
    schema = make_schema({"user": [10] * 4, "item": [20] * 2}, [("likes", "user", "item")], grid(4, 2))
    sizing = size(schema, num_groups=2)
    row_bytes = 4 * 4 + 4
    assert sizing.leases == 4
    assert sizing.epoch_bytes == 4 * (2 * 10 + 20) * row_bytes
    assert sizing.most_trainers == 2
