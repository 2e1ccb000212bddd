"""Parameters: the tensors of the relations' operators, their names and their first values."""

from collections.abc import Mapping

import numpy as np

from graphbed.config.job import JobConfig, Operator, RelationConfig
from graphbed.model.kernel import GroupParameters, SideParameters
from graphbed.model.relations import RelationGroups

# Shapes: Rg relations of one group, D dimension.

SIDES = ("rhs", "lhs")


def values_name(group: int, side: str) -> str:
    """Name of the float32 [Rg, D] tensor of a group's operator; side is "rhs" or "lhs"."""
    return f"relations/{group}/{side}/values"


def sums_name(group: int, side: str) -> str:
    """Name of the float32 [Rg, D] tensor of Adagrad's sums of squares for `values_name`."""
    return f"relations/{group}/{side}/sums"


def operator_sides(entry: RelationConfig) -> tuple[str, ...]:
    """The sides of which the group has parameters: none without an operator, rhs alone unless it is reciprocal."""
    if entry.operator is Operator.NONE:
        return ()
    return SIDES if entry.reciprocal else ("rhs",)


def initial_values(operator: Operator, relations: int, dimension: int) -> np.ndarray:
    """float32 [relations, dimension] with which an operator changes nothing: 0 to add, 1 or 1+0i to multiply by.

    No noise is added: the entities are random already, and an operator that begins as the identity lets the first
    updates of all relations agree.
    """
    values = np.zeros((relations, dimension), np.float32)
    if operator is Operator.DIAGONAL:
        values[:] = 1
    elif operator is Operator.COMPLEX_DIAGONAL:
        values[:, : dimension // 2] = 1
    return values


def initial_parameters(config: JobConfig, groups: RelationGroups) -> dict[str, np.ndarray]:
    """All parameter tensors by name, float32 [Rg, D], the same on any machine; groups without relations have none."""
    tensors: dict[str, np.ndarray] = {}
    for group, entry in enumerate(groups.entries):
        if groups.counts[group] == 0:
            continue
        for side in operator_sides(entry):
            values = initial_values(entry.operator, groups.counts[group], config.dimension)
            tensors[values_name(group, side)] = values
            tensors[sums_name(group, side)] = np.zeros_like(values)
    return tensors


def group_parameters(tensors: Mapping[str, np.ndarray], group: int, dimension: int) -> GroupParameters:
    """The tensors of one group as the kernels take them; views, so that a kernel's updates appear in `tensors`."""

    def side(name: str) -> SideParameters:
        empty = np.zeros((0, dimension), np.float32)
        return SideParameters(
            values=tensors.get(values_name(group, name), empty), sums=tensors.get(sums_name(group, name), empty)
        )

    return GroupParameters(rhs=side("rhs"), lhs=side("lhs"))
