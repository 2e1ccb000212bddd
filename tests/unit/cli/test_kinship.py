import numpy as np

from graphbed.cli.kinship import akin, roles
from graphbed.evaluation.edges import SplitEdges

# 0 -r0-> 1, 2 -r0-> 3, 4 -r1-> 0
EDGES = SplitEdges(lhs=np.array([0, 2, 4]), relation=np.array([0, 0, 1], np.int32), rhs=np.array([1, 3, 0]))


def test_a_role_is_a_relation_and_a_side() -> None:
    assert roles(EDGES, 0) == {(0, "lhs"), (1, "rhs")}
    assert roles(EDGES, 5) == frozenset()


def test_akin_are_those_that_share_a_role() -> None:
    assert akin(EDGES, 0, [1, 2, 3, 4, 5]) == 1
    assert akin(EDGES, 1, [3]) == 1
    assert akin(EDGES, 5, [0, 1]) == 0
