"""Graph S: its tail, its blocks, and that it is the same every time."""

from collections import Counter

import numpy as np

from graphbed.benchmark.graph_s import INSIDE, graph_s


def test_the_same_seed_gives_the_same_graph():
    graphs = [graph_s(50, 200, 3, seed=seed) for seed in (4, 4, 5)]
    assert np.array_equal(graphs[0].lhs, graphs[1].lhs) and np.array_equal(graphs[0].rhs, graphs[1].rhs)
    assert not np.array_equal(graphs[0].rhs, graphs[2].rhs)
    assert set(graphs[0].relation.tolist()) == {0, 1, 2}
    assert graphs[0].lhs.min() >= 0 and graphs[0].lhs.max() < 50


def test_left_ends_are_drawn_by_weight():
    edges, nodes = 200_000, 500
    weights = (np.arange(nodes) + 10.0) ** -0.75
    expected = edges * weights / weights.sum()
    counts = np.sort(np.bincount(graph_s(nodes, edges, 1).lhs, minlength=nodes))[::-1]
    np.testing.assert_allclose(counts[:10].sum(), expected[:10].sum(), rtol=0.05)
    np.testing.assert_allclose(counts[-100:].sum(), expected[-100:].sum(), rtol=0.05)


def test_most_edges_stay_in_their_block():
    # 3,000 nodes in 1,000 blocks: each block has three.
    graph = graph_s(3000, 60_000, 1)
    ends: dict[int, Counter[int]] = {}
    for lhs, rhs in zip(graph.lhs.tolist(), graph.rhs.tolist(), strict=True):
        ends.setdefault(lhs, Counter())[rhs] += 1
    inside = sum(count for counter in ends.values() for _, count in counter.most_common(3))
    assert INSIDE < inside / 60_000 < INSIDE + 0.12
    # So the two ends are no independent draws: few nodes are seen with most of the others.
    assert np.median([len(counter) for counter in ends.values()]) < 30


def test_one_node_has_only_loops():
    graph = graph_s(1, 5, 1)
    assert graph.lhs.tolist() == graph.rhs.tolist() == [0] * 5
