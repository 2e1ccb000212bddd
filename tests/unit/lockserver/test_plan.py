"""The plan: buckets, resources, sizes, and what does not fit."""

import pytest

from graphbed.errors import BadConfig
from graphbed.graph.partition import Bucket, Partition
from services.lockserver.plan import Plan
from tests.unit.lockserver.examples import bipartite_plan, grid, make_config, make_schema, square_plan, square_schema


def test_a_bucket_of_one_type_needs_both_its_partitions() -> None:
    plan = square_plan(3)
    assert plan.resources[Bucket(2, 0)] == (Partition("e", 0), Partition("e", 2))
    assert plan.resources[Bucket(1, 1)] == (Partition("e", 1),)
    assert plan.shared_sides


def test_types_of_one_side_each_are_not_shared() -> None:
    plan = bipartite_plan(4, 2)
    assert plan.resources[Bucket(3, 1)] == (Partition("item", 1), Partition("user", 3))
    assert (plan.lhs.partitions, plan.rhs.partitions) == (4, 2)
    assert not plan.shared_sides


def test_a_type_with_one_partition_is_needed_by_every_bucket_of_its_side() -> None:
    schema = make_schema(
        {"user": [5, 5], "country": [3]}, [("knows", "user", "user"), ("lives", "user", "country")], grid(2, 2)
    )
    plan = Plan.from_config(make_config(schema), schema)
    assert plan.resources[Bucket(1, 0)] == (Partition("country", 0), Partition("user", 0), Partition("user", 1))
    assert plan.shared_sides


def test_a_bucket_without_edges_is_no_part_of_the_plan() -> None:
    schema = make_schema({"e": [5, 5]}, [("r", "e", "e")], {Bucket(0, 0): 3, Bucket(0, 1): 0})
    plan = Plan.from_config(make_config(schema), schema)
    assert dict(plan.edges) == {Bucket(0, 0): 3}


def test_bytes_follow_rows_dimension_and_optimizer() -> None:
    schema = make_schema({"e": [10, 30]}, [("r", "e", "e")], grid(2, 2))
    by_row = Plan.from_config(make_config(schema, dimension=8), schema)
    by_element = Plan.from_config(make_config(schema, dimension=8, optimizer="adagrad"), schema)
    assert by_row.bytes(Partition("e", 1)) == 30 * (8 * 4 + 4)
    assert by_element.bytes(Partition("e", 0)) == 10 * 8 * 8
    assert by_row.largest_bytes == 30 * (8 * 4 + 4)


@pytest.mark.parametrize(("operator", "expected"), [("none", False), ("diagonal", True)])
def test_a_job_has_parameters_if_a_relation_in_use_has_an_operator(operator: str, expected: bool) -> None:
    schema = square_schema(2)
    relations = [
        {"name": "*", "lhs": "e", "rhs": "e", "operator": operator},
        {"name": "unused", "lhs": "e", "rhs": "e", "operator": "translation"},
    ]
    assert Plan.from_config(make_config(schema, relations=relations), schema).has_parameters is expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entities": {"e": {"num_partitions": 3}}}, r"entities\.e\.num_partitions is 3"),
        ({"relations": [{"name": "other", "lhs": "e", "rhs": "e"}]}, "no entry for the relation r"),
        (
            {"entities": {"f": {}}, "relations": [{"name": "r", "lhs": "f", "rhs": "f"}]},
            "relations: r joins f and f",
        ),
    ],
)
def test_a_config_that_does_not_fit_the_graph_is_refused(changes: dict[str, object], message: str) -> None:
    schema = square_schema(2)
    with pytest.raises(BadConfig, match=message):
        Plan.from_config(make_config(schema, **changes), schema)


@pytest.mark.parametrize(("rows", "groups", "fits"), [(65_536, 4, True), (65_537, 4, False), (40_000, 2, False)])
def test_all_negatives_are_for_types_of_which_a_lease_holds_few_entities(rows: int, groups: int, fits: bool) -> None:
    """Eight partitions in four groups: a lease holds four of them; in two groups it holds all eight."""
    schema = make_schema({"e": [rows // 4] * 7 + [rows - 3 * (rows // 4)]}, [("r", "e", "e")], grid(8, 8))
    config = make_config(schema, num_groups=groups, relations=[{"name": "r", "lhs": "e", "rhs": "e", "all_negs": True}])
    if fits:
        Plan.from_config(config, schema)
    else:
        with pytest.raises(BadConfig, match=r"r has all_negs, and a lease may hold \d+ entities of e"):
            Plan.from_config(config, schema)


def test_global_embeddings_are_parameters_too() -> None:
    schema = square_schema(2)
    assert Plan.from_config(make_config(schema, global_emb=True), schema).has_parameters
