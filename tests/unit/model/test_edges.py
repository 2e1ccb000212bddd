"""The order of edges and their chunks."""

import numpy as np
import pytest

from graphbed.config.choices import Comparator, Loss, Operator, Optimizer
from graphbed.graph.edges import EdgeArrays
from graphbed.model.edges import order_edges
from graphbed.model.kernel import Hyper, KernelSpec

HYPER = Hyper(lr=1, relation_lr=1, batch_negatives=10)


def spec(reciprocal: bool) -> KernelSpec:
    return KernelSpec(
        operator=Operator.NONE,
        comparator=Comparator.DOT,
        loss=Loss.RANKING,
        reciprocal=reciprocal,
        optimizer=Optimizer.ROW_ADAGRAD,
    )


def edges(count: int) -> EdgeArrays:
    generator = np.random.default_rng(0)
    return EdgeArrays(
        lhs=np.arange(count),
        relation=generator.integers(0, 5, count).astype(np.int32),
        rhs=np.arange(count) + 1000,
        weight=np.arange(count, dtype=np.float32),
    )


@pytest.mark.parametrize("reciprocal", [False, True])
@pytest.mark.parametrize("count", [0, 1, 10, 237])
def test_every_edge_is_in_exactly_one_chunk_with_all_its_columns(count: int, reciprocal: bool):
    before = edges(count)
    after = order_edges(before, spec(reciprocal), HYPER, seed=4)
    assert sorted(after.lhs_rows) == list(range(count))
    np.testing.assert_array_equal(after.rhs_rows, after.lhs_rows + 1000)
    np.testing.assert_array_equal(after.weight, after.lhs_rows)
    np.testing.assert_array_equal(after.relation_rows, before.relation[after.lhs_rows])
    sizes = np.diff(after.chunk_starts)
    assert after.chunk_starts[0] == 0
    assert after.chunk_starts[-1] == after.edges == count
    assert ((sizes > 0) & (sizes <= 10)).all()


def test_a_chunk_of_plain_relations_has_one_relation_and_only_its_last_is_short():
    after = order_edges(edges(237), spec(reciprocal=False), HYPER, seed=4)
    relations = [
        set(after.relation_rows[first:stop].tolist())
        for first, stop in zip(after.chunk_starts[:-1], after.chunk_starts[1:], strict=True)
    ]
    assert all(len(relation) == 1 for relation in relations)
    assert sum(np.diff(after.chunk_starts) < 10) <= 5
    assert [min(relation) for relation in relations] != sorted(min(relation) for relation in relations)


def test_reciprocal_chunks_mix_relations_and_are_full():
    after = order_edges(edges(237), spec(reciprocal=True), HYPER, seed=4)
    assert after.chunk_starts.tolist() == [*range(0, 237, 10), 237]
    assert len(set(after.relation_rows[:10].tolist())) > 1


@pytest.mark.parametrize("reciprocal", [False, True])
def test_the_order_is_a_function_of_the_seed(reciprocal: bool):
    first, again, other = (order_edges(edges(237), spec(reciprocal), HYPER, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.lhs_rows, again.lhs_rows)
    assert not np.array_equal(first.lhs_rows, other.lhs_rows)


def test_parts_are_views_that_cover_the_whole():
    whole = order_edges(edges(237), spec(reciprocal=True), HYPER, seed=4)
    parts = [whole.part(0, 5), whole.part(5, whole.chunks)]
    assert [part.edges for part in parts] == [50, 187]
    assert all(part.lhs_rows is whole.lhs_rows for part in parts)
