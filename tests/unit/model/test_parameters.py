"""Relation groups, the first parameters, the first tables."""

import numpy as np
import pytest

from graphbed.config.choices import Comparator, Operator, Optimizer
from graphbed.config.job import EntityConfig, JobConfig, RelationConfig
from graphbed.errors import BadConfig
from graphbed.graph.partition import Partition
from graphbed.graph.schema import EntityTable, GraphSchema, RelationEntry, StoredFile
from graphbed.model.kernel import Hyper, KernelSpec
from graphbed.model.parameters import group_parameters, initial_parameters, sums_name, values_name
from graphbed.model.relations import RelationGroups
from graphbed.model.tables import initial_partition

FILE = StoredFile(key="k", size=0, sha256="", rows=0)


def schema(relations: list[tuple[str, str, str]]) -> GraphSchema:
    return GraphSchema(
        name="g",
        seed=0,
        entities={"user": EntityTable(partitions=(FILE,)), "item": EntityTable(partitions=(FILE,))},
        relations=tuple(RelationEntry(name=name, lhs=lhs, rhs=rhs) for name, lhs, rhs in relations),
        relation_file=FILE,
        splits={},
        weighted=False,
    )


def job(**changes: object) -> JobConfig:
    return JobConfig.model_validate(
        {
            "job": "j",
            "graph": "g",
            "entities": {"user": EntityConfig(), "item": EntityConfig()},
            "relations": [
                RelationConfig(name="likes", lhs="user", rhs="item", operator=Operator.TRANSLATION),
                RelationConfig(name="*", lhs="user", rhs="item", operator=Operator.COMPLEX_DIAGONAL, reciprocal=True),
                RelationConfig(name="knows", lhs="user", rhs="user"),
                RelationConfig(name="never", lhs="user", rhs="user", operator=Operator.DIAGONAL),
            ],
            "dimension": 6,
            **changes,
        }
    )


GRAPH = schema(
    [("buys", "user", "item"), ("likes", "user", "item"), ("knows", "user", "user"), ("sees", "user", "item")]
)


def test_a_relation_belongs_to_the_entry_of_its_name_or_else_to_the_template():
    groups = RelationGroups.from_schema(job(), GRAPH)
    assert groups.group.tolist() == [1, 0, 2, 1]
    assert groups.row.tolist() == [0, 0, 0, 1]
    assert groups.counts == (1, 2, 1, 0)
    assert [entry.name for entry in groups.entries] == ["likes", "*", "knows", "never"]


def test_a_relation_without_an_entry_is_refused():
    with pytest.raises(BadConfig, match="'buys'"):
        RelationGroups.from_schema(job(relations=job().relations[:1]), GRAPH)


def test_a_relation_between_other_types_is_refused():
    with pytest.raises(BadConfig, match="'knows' in the data between user and item"):
        RelationGroups.from_schema(job(), schema([("knows", "user", "item")]))


def test_parameters_begin_as_the_identity_and_exist_only_where_they_are_used():
    tensors = initial_parameters(job(), RelationGroups.from_schema(job(), GRAPH))
    expected = {values_name(0, "rhs"): [[0] * 6]} | dict.fromkeys(
        (values_name(1, "rhs"), values_name(1, "lhs")), [[1, 1, 1, 0, 0, 0]] * 2
    )
    assert {name: tensor.tolist() for name, tensor in tensors.items() if name.endswith("values")} == expected
    sums = {name: tensor for name, tensor in tensors.items() if name.endswith("sums")}
    assert sums.keys() == {sums_name(0, "rhs"), sums_name(1, "rhs"), sums_name(1, "lhs")}
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
    assert all(not tensor.any() for tensor in sums.values())


def test_parameters_that_begin_at_random_are_as_large_as_embeddings_and_the_same_on_any_machine():
    config = job(operator_init="random", init_scale=0.5, dimension=1000)
    groups = RelationGroups.from_schema(config, GRAPH)
    tensors, again = initial_parameters(config, groups), initial_parameters(config, groups)
    values = {name: tensor for name, tensor in tensors.items() if name.endswith("values")}
    assert len(values) == 3
    for name, tensor in values.items():
        np.testing.assert_array_equal(tensor, again[name])
        assert tensor.dtype == np.float32
        assert abs(tensor.mean()) < 0.1
        assert tensor.std() == pytest.approx(0.5, rel=0.1)
    assert not np.array_equal(values[values_name(1, "rhs")], values[values_name(1, "lhs")])
    other = initial_parameters(config.model_copy(update={"seed": 1}), groups)
    assert not np.array_equal(other[values_name(1, "rhs")], values[values_name(1, "rhs")])
    assert all(not tensor.any() for name, tensor in tensors.items() if name.endswith("sums"))


def test_angles_that_begin_at_random_point_everywhere():
    rotation = RelationConfig(name="*", lhs="user", rhs="item", operator=Operator.ROTATION)
    config = job(relations=[rotation], operator_init="random", dimension=2000)
    graph = schema([("buys", "user", "item")])
    (angles,) = initial_parameters(config, RelationGroups.from_schema(config, graph))[values_name(0, "rhs")]
    quarters = np.histogram(angles, bins=4, range=(-np.pi, np.pi))[0]
    assert quarters.sum() == 1000
    assert quarters.min() > 200


def test_a_groups_parameters_are_views():
    tensors = initial_parameters(job(), RelationGroups.from_schema(job(), GRAPH))
    parameters = group_parameters(tensors, job(), 1)
    parameters.lhs.values[1, 2] = 7
    assert tensors[values_name(1, "lhs")][1, 2] == 7
    assert group_parameters(tensors, job(), 0).lhs.values.shape[0] == 0
    assert group_parameters(tensors, job(), 2).rhs.values.shape[0] == 0


def test_a_partition_begins_the_same_each_time_and_unlike_any_other():
    config = job(init_scale=0.5)
    first = initial_partition(config, Partition("user", 0), 1000)
    again = initial_partition(config, Partition("user", 0), 1000)
    others = [
        initial_partition(config, Partition("user", 1), 1000),
        initial_partition(config, Partition("item", 0), 1000),
        initial_partition(job(init_scale=0.5, seed=1), Partition("user", 0), 1000),
    ]
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    assert first.embeddings.shape == (1000, 6)
    assert first.embeddings.dtype == np.float32
    assert first.embeddings.std() == pytest.approx(0.5, rel=0.05)
    assert all(not np.array_equal(first.embeddings, other.embeddings) for other in others)


@pytest.mark.parametrize(("optimizer", "columns"), [(Optimizer.ROW_ADAGRAD, 1), (Optimizer.ADAGRAD, 6)])
def test_sums_are_kept_by_row_or_by_element(optimizer: Optimizer, columns: int):
    sums = initial_partition(job(optimizer=optimizer), Partition("user", 0), 3).sums
    assert sums.shape == (3, columns)
    assert not sums.any()


def test_a_job_becomes_the_numbers_and_the_combination_of_a_kernel():
    config = job(lr=0.2, num_batch_negs=0, num_uniform_negs=7, disable_lhs_negs=True, comparator="dot")
    hyper = Hyper.from_config(config, learning_rate_factor=0.5)
    assert (hyper.lr, hyper.relation_lr, hyper.chunk_edges) == (0.1, 0.1, 7)
    assert (hyper.lhs_negatives, hyper.rhs_negatives) == (False, True)
    assert Hyper.from_config(job(relation_lr=0.3)).relation_lr == 0.3
    spec = KernelSpec.from_config(config, 1)
    assert (spec.operator, spec.reciprocal, spec.comparator) == (Operator.COMPLEX_DIAGONAL, True, Comparator.DOT)
    assert spec.name == "complex_diagonal-dot-ranking-reciprocal-row_adagrad-N3"
