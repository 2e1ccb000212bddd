"""What a configuration may choose for its model: what does not fit is refused by name, schedules fall as they say."""

import math

import pytest
import yaml

from graphbed.config.choices import Schedule
from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.config.schedule import learning_rate_factor
from graphbed.errors import BadConfig
from graphbed.model.kernel import Hyper


def job(operator: str = "none", **changes: object) -> JobConfig:
    document = {
        "job": "j",
        "graph": "g",
        "entities": {"e": {}},
        "relations": [{"name": "r", "lhs": "e", "rhs": "e", "operator": operator}],
        "dimension": 8,
        **changes,
    }
    return parse_job(yaml.safe_dump(document), source="job.yaml")


@pytest.mark.parametrize(
    ("operator", "changes", "complaint"),
    [
        ("complex_diagonal", {"dimension": 7}, "7 is odd, and complex_diagonal needs an even one"),
        ("rotation", {"dimension": 7}, "7 is odd, and rotation needs an even one"),
        ("none", {"comparator": "complex_l1", "bias": True}, "complex_l1 compares pairs of numbers, and 7 is odd"),
        ("none", {"dimension": 1, "bias": True}, "leaves nothing to compare"),
        ("affine", {"dimension": 1024}, "gives a matrix of 1049600 numbers"),
        ("none", {"batch_size": 1000, "num_batch_negs": 64}, "batch_size: 1000 is not a multiple of 64"),
        ("none", {"batch_size": 10, "num_batch_negs": 0, "num_uniform_negs": 4}, r"4, the edges of a chunk \(num_unif"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(operator: str, changes: dict[str, object], complaint: str):
    with pytest.raises(BadConfig, match=complaint):
        job(operator, **changes)


def test_a_relations_own_learning_rate_is_its_operators_alone():
    config = job("diagonal", lr=0.2, relation_lr=0.1)
    relation = config.relations[0].model_copy(update={"lr": 0.01})
    hyper = Hyper.from_config(config.model_copy(update={"relations": [relation]}), 0, learning_rate_factor=0.5)
    assert (hyper.lr, hyper.relation_lr, hyper.shared_lr) == (0.1, 0.005, 0.05)


def factors(schedule: Schedule, warmup: int = 0) -> list[float]:
    return [
        learning_rate_factor(schedule, epoch=epoch, num_epochs=8, decay=0.5, warmup_epochs=warmup) for epoch in range(8)
    ]


def test_schedules_fall_from_one_and_never_reach_zero():
    assert factors(Schedule.EXPONENTIAL) == [0.5**e for e in range(8)]
    assert factors(Schedule.LINEAR) == [1 - e / 8 for e in range(8)]
    assert factors(Schedule.COSINE) == pytest.approx([(1 + math.cos(math.pi * e / 8)) / 2 for e in range(8)])
    assert all(factor > 0 for schedule in Schedule for factor in factors(schedule))


def test_a_warm_up_rises_to_where_the_schedule_begins():
    assert factors(Schedule.EXPONENTIAL, warmup=3)[:5] == [0.25, 0.5, 0.75, 1.0, 0.5]
    assert learning_rate_factor(Schedule.LINEAR, epoch=9, num_epochs=8, decay=1, warmup_epochs=0) > 0
