"""The part of a graph that settings are tried on: its k-core, where the entities with many edges are."""

# Shapes: E edges, V entities, S edges of the core.

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


def k_core(lhs_E: Ids, rhs_E: Ids, k: int) -> Flags:
    """bool [E]: the edges of the k-core, the largest subgraph in which every entity has at least `k` edge ends.

    Entities with fewer are taken away, with their edges, until none is left (Matula and Beck 1983).
    """
    kept_E = np.ones(len(lhs_E), bool)
    entities = int(max(lhs_E.max(initial=-1), rhs_E.max(initial=-1))) + 1
    while True:
        degree_V = np.bincount(lhs_E[kept_E], minlength=entities) + np.bincount(rhs_E[kept_E], minlength=entities)
        fewer_E = kept_E & ((degree_V[lhs_E] < k) | (degree_V[rhs_E] < k))
        if not fewer_E.any():
            return kept_E
        kept_E &= ~fewer_E


def core_of_size(lhs_E: Ids, rhs_E: Ids, most_edges: int) -> tuple[int, Flags]:
    """The smallest k whose core has at most `most_edges` edges but is not empty, and the edges of that core.

    If the next core would be empty, the last one that is not is taken, however large it is.
    """
    low, high = 0, 1  # the core of `low` is too large; the search doubles `high` until its core is small enough
    best = 0, np.ones(len(lhs_E), bool)
    if len(lhs_E) <= most_edges:
        return best
    while len(lhs_E) and k_core(lhs_E, rhs_E, high).sum() > most_edges:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if k_core(lhs_E, rhs_E, middle).sum() > most_edges:
            low = middle
        else:
            high = middle
    core_E = k_core(lhs_E, rhs_E, high)
    return (high, core_E) if core_E.any() else (low, k_core(lhs_E, rhs_E, low))
