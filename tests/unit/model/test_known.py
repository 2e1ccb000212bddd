"""Lists of known edges: what each edge's candidates must not be."""

import numpy as np
import pytest

from graphbed.config.choices import Comparator, FilterNegatives, Loss, Operator, Optimizer
from graphbed.graph.edges import EdgeArrays
from graphbed.model.edges import order_edges
from graphbed.model.kernel import Hyper, KernelSpec, KnownRows
from graphbed.model.known import known_edges


def some_edges(count: int = 300) -> EdgeArrays:
    generator = np.random.default_rng(2)
    relation = generator.integers(0, 3, count).astype(np.int32)
    return EdgeArrays.unweighted(generator.integers(0, 12, count), relation, generator.integers(0, 9, count))


def lists(known: KnownRows) -> list[list[int]]:
    return [known.rows[a:b].tolist() for a, b in zip(known.first, known.stop, strict=True)]


@pytest.mark.parametrize("starts", [None, np.array([0, 7, 7, 100, 300])])
def test_each_edge_knows_the_rows_that_make_another_edge_in_its_scope(starts: np.ndarray | None):
    edges = some_edges()
    known = known_edges(edges, starts)
    scope = np.zeros(300, int) if starts is None else np.searchsorted(starts, np.arange(300), side="right")
    places = range(len(edges))
    for e, (lhs, rhs) in enumerate(zip(lists(known.lhs), lists(known.rhs), strict=True)):
        near = [p for p in places if scope[p] == scope[e] and edges.relation[p] == edges.relation[e]]
        assert lhs == sorted({int(edges.lhs[p]) for p in near if edges.rhs[p] == edges.rhs[e]})
        assert rhs == sorted({int(edges.rhs[p]) for p in near if edges.lhs[p] == edges.lhs[e]})


def test_no_edges_have_no_lists():
    known = known_edges(some_edges(0), None)
    assert len(known.lhs.first) == len(known.rhs.rows) == 0


@pytest.mark.parametrize("filtered", FilterNegatives)
def test_ordering_lists_what_the_job_filters(filtered: FilterNegatives):
    spec = KernelSpec(
        operator=Operator.DIAGONAL,
        comparator=Comparator.DOT,
        loss=Loss.SOFTMAX,
        reciprocal=True,
        optimizer=Optimizer.ADAGRAD,
    )
    hyper = Hyper(lr=0.1, relation_lr=0.1, batch_negatives=16, filter_negatives=filtered)
    ordered = order_edges(some_edges(), spec, hyper, seed=3)
    if filtered is FilterNegatives.NONE:
        assert ordered.known is None
        return
    assert ordered.known is not None
    arrays = EdgeArrays.unweighted(ordered.lhs_rows, ordered.relation_rows, ordered.rhs_rows)
    whole, chunkwise = (known_edges(arrays, starts) for starts in (None, ordered.chunk_starts))
    assert lists(whole.rhs) != lists(chunkwise.rhs)
    expected = whole if filtered is FilterNegatives.BUCKET else chunkwise
    assert lists(ordered.known.rhs) == lists(expected.rhs) and lists(ordered.known.lhs) == lists(expected.lhs)
    assert ordered.part(1, 3).known is ordered.known
