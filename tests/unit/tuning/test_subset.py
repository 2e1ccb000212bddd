"""The k-core of a graph, against the definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graphbed.tuning.subset import core_of_size, k_core

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40)


def arrays(edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def slow_core(edges: list[tuple[int, int]], k: int) -> list[bool]:
    """By taking away one entity at a time."""
    gone: set[int] = set()
    while True:
        left = [edge for edge in edges if not gone.intersection(edge)]
        ends = [end for edge in left for end in edge]
        few = next((end for end in sorted(set(ends)) if ends.count(end) < k), None)
        if few is None:
            return [not gone.intersection(edge) for edge in edges]
        gone.add(few)


@given(EDGES, st.integers(1, 8))
def test_the_core_is_what_is_left_when_small_entities_go_one_by_one(edges: list[tuple[int, int]], k: int) -> None:
    assert k_core(*arrays(edges), k).tolist() == slow_core(edges, k)


@given(EDGES.filter(bool), st.integers(1, 40))
def test_the_smallest_k_that_fits_is_taken(edges: list[tuple[int, int]], most: int) -> None:
    k, core_E = core_of_size(*arrays(edges), most)
    assert core_E.any() and core_E.tolist() == k_core(*arrays(edges), k).tolist()
    if core_E.sum() <= most:
        assert k == 0 or k_core(*arrays(edges), k - 1).sum() > most
    else:
        assert not k_core(*arrays(edges), k + 1).any()
