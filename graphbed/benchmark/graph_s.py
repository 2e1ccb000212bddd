"""Graph S: a synthetic graph with a long tail and with communities, of any size."""

import numpy as np
from numpy.typing import NDArray

from graphbed.graph.edges import EdgeArrays

# Shapes: V nodes, E edges.

BLOCKS = 1000
INSIDE = 0.8
"""Share of the edges whose ends lie in one block."""


def graph_s(nodes: int, edges: int, relations: int, *, seed: int = 0) -> EdgeArrays:
    """E edges between V nodes: ends are drawn with weight (rank + 10)^-0.75, the ranks dealt to BLOCKS blocks in turn.

    The rhs of INSIDE of the edges is drawn from the lhs's block; relations uniformly; node ids in shuffled order.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    blocks = min(BLOCKS, nodes)
    # Places hold the ranks block by block, so that one block is one stretch of the cumulative weights [V + 1].
    rank = np.argsort(np.arange(nodes) % blocks, kind="stable")
    cumulative = np.concatenate([[0.0], np.cumsum((rank + 10.0) ** -0.75)])
    first = np.searchsorted(rank % blocks, np.arange(blocks + 1))

    def draw(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.int64]:
        found = np.searchsorted(cumulative, low + generator.random(edges) * (high - low), side="right") - 1
        return np.minimum(found, nodes - 1)

    nothing, everything = np.zeros(edges), np.full(edges, cumulative[-1])
    lhs = draw(nothing, everything)
    block, inside = rank[lhs] % blocks, generator.random(edges) < INSIDE
    rhs = draw(
        np.where(inside, cumulative[first[block]], nothing),
        np.where(inside, cumulative[first[block + 1]], everything),
    )
    names = generator.permutation(nodes)
    relation = generator.integers(0, relations, edges, dtype=np.int32)
    return EdgeArrays.unweighted(names[lhs], relation, names[rhs])
