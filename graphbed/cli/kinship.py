"""Do neighbours belong together? Entities are akin if they stand on one side of one relation in the training edges."""

import numpy as np

from graphbed.evaluation.edges import SplitEdges

# Shapes: E edges.


def roles(edges: SplitEdges, entity: int) -> frozenset[tuple[int, str]]:
    """Every (relation id, side) that `entity` takes in `edges`, all of one entity type."""
    as_lhs = {(int(relation), "lhs") for relation in np.unique(edges.relation[edges.lhs == entity])}
    as_rhs = {(int(relation), "rhs") for relation in np.unique(edges.relation[edges.rhs == entity])}
    return frozenset(as_lhs | as_rhs)


def akin(edges: SplitEdges, entity: int, others: list[int]) -> int:
    """How many of `others` share a (relation, side) with `entity`."""
    own = roles(edges, entity)
    return sum(1 for other in others if own & roles(edges, other))
