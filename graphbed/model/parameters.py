"""Parameters: the tensors that no partition holds, their names and their first values: operators, global embeddings."""

from collections.abc import Mapping

import numpy as np

from graphbed.config.choices import Operator, OperatorInit
from graphbed.config.job import JobConfig, RelationConfig
from graphbed.model.generators import named_generator
from graphbed.model.kernel import GroupParameters, SideParameters
from graphbed.model.relations import RelationGroups

# Shapes: Rg relations of one group, K numbers of an operator (Operator.width), D dimension.

SIDES = ("rhs", "lhs")


def values_name(group: int, side: str) -> str:
    """Name of the float32 [Rg, K] tensor of a group's operator; side is "rhs" or "lhs"."""
    return f"relations/{group}/{side}/values"


def sums_name(group: int, side: str) -> str:
    """Name of the float32 [Rg, K] tensor of Adagrad's sums of squares for `values_name`."""
    return f"relations/{group}/{side}/sums"


def global_names(entity_type: str) -> tuple[str, str]:
    """Names of the float32 [1, D] tensors of a type's global embedding and of Adagrad's sums of squares for it."""
    return f"entities/{entity_type}/global/values", f"entities/{entity_type}/global/sums"


def operator_sides(entry: RelationConfig) -> tuple[str, ...]:
    """The sides of which the group has parameters: none without an operator, rhs alone unless it is reciprocal."""
    if entry.operator is Operator.NONE:
        return ()
    return SIDES if entry.reciprocal else ("rhs",)


def identity_values(operator: Operator, relations: int, dimension: int) -> np.ndarray:
    """float32 [relations, K] with which an operator changes nothing: 0 to add or to turn by, 1, 1+0i or the identity
    matrix to multiply by."""
    values = np.zeros((relations, operator.width(dimension)), np.float32)
    if operator in (Operator.LINEAR, Operator.AFFINE):
        values[:, : dimension * dimension : dimension + 1] = 1
    elif operator is Operator.DIAGONAL:
        values[:] = 1
    elif operator is Operator.COMPLEX_DIAGONAL:
        values[:, : dimension // 2] = 1
    return values


def random_values(
    operator: Operator, relations: int, dimension: int, *, scale: float, generator: np.random.Generator
) -> np.ndarray:
    """float32 [relations, K]: normal numbers of standard deviation `scale`, angles uniform from −π to π."""
    shape = (relations, operator.width(dimension))
    if operator is Operator.ROTATION:
        return generator.uniform(-np.pi, np.pi, shape).astype(np.float32)
    return generator.standard_normal(shape, np.float32) * np.float32(scale)


def initial_parameters(config: JobConfig, groups: RelationGroups) -> dict[str, np.ndarray]:
    """All parameter tensors by name, float32, the same on any machine; groups without relations have none."""
    tensors: dict[str, np.ndarray] = {}
    if config.global_emb:
        for entity_type in config.entities:
            for name in global_names(entity_type):
                tensors[name] = np.zeros((1, config.dimension), np.float32)
    for group, entry in enumerate(groups.entries):
        if groups.counts[group] == 0:
            continue
        for side in operator_sides(entry):
            name = values_name(group, side)
            values = _first_values(config, entry.operator, groups.counts[group], name)
            tensors[name] = values
            tensors[sums_name(group, side)] = np.zeros_like(values)
    return tensors


def _first_values(config: JobConfig, operator: Operator, relations: int, name: str) -> np.ndarray:
    if config.operator_init is OperatorInit.IDENTITY:
        return identity_values(operator, relations, config.dimension)
    return random_values(
        operator, relations, config.dimension, scale=config.init_scale, generator=named_generator(config.seed, name)
    )


def group_parameters(tensors: Mapping[str, np.ndarray], config: JobConfig, group: int) -> GroupParameters:
    """The tensors of one group as the kernels take them; views, so that a kernel's updates appear in `tensors`."""
    entry = config.relations[group]

    def side(name: str) -> SideParameters:
        empty = np.zeros((0, entry.operator.width(config.dimension)), np.float32)
        return SideParameters(
            values=tensors.get(values_name(group, name), empty), sums=tensors.get(sums_name(group, name), empty)
        )

    def shared(entity_type: str) -> SideParameters | None:
        if not config.global_emb:
            return None
        values, sums = global_names(entity_type)
        return SideParameters(values=tensors[values], sums=tensors[sums])

    lhs = shared(entry.lhs)
    return GroupParameters(
        rhs=side("rhs"),
        lhs=side("lhs"),
        lhs_global=lhs,
        rhs_global=lhs if entry.rhs == entry.lhs else shared(entry.rhs),
    )
