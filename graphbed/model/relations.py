"""Relation groups: which entry of the configuration each relation of the data belongs to."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from graphbed.config.job import ANY_RELATION, JobConfig, RelationConfig
from graphbed.errors import BadConfig
from graphbed.graph.schema import GraphSchema, RelationEntry

# Shapes: R relations of the data.


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationGroups:
    """The relations of the data, sorted into the entries of `config.relations`; a group is one such entry.

    All relations of a group have one pair of entity types, one operator and one `reciprocal` flag, and their parameters
    are the rows of the same tensors.
    """

    entries: tuple[RelationConfig, ...]
    """The groups, in the order of the configuration."""
    group: np.ndarray
    """int32 [R]: index into `entries` of each relation id."""
    row: np.ndarray
    """int32 [R]: the relation's row in its group's tensors; within a group, rows follow the relation ids."""
    counts: tuple[int, ...]
    """Relations of the data in each group; may be 0."""

    @classmethod
    def from_schema(cls, config: JobConfig, schema: GraphSchema) -> Self:
        """Sort the relations of `schema`; raise BadConfig if one has no entry or lies between other entity types."""
        index_of_name = {entry.name: index for index, entry in enumerate(config.relations)}
        group = np.empty(len(schema.relations), np.int32)
        row = np.empty(len(schema.relations), np.int32)
        counts = [0] * len(config.relations)
        for relation_id, relation in enumerate(schema.relations):
            index = index_of_name.get(relation.name, index_of_name.get(ANY_RELATION))
            if index is None:
                raise BadConfig(what=f"relations: no entry for {relation.name!r}, which the graph {schema.name} has")
            _require_types(config.relations[index], relation)
            group[relation_id] = index
            row[relation_id] = counts[index]
            counts[index] += 1
        return cls(entries=tuple(config.relations), group=group, row=row, counts=tuple(counts))


def _require_types(entry: RelationConfig, relation: RelationEntry) -> None:
    if (entry.lhs, entry.rhs) != (relation.lhs, relation.rhs):
        raise BadConfig(
            what=f"relations: {entry.name!r} lies between {entry.lhs} and {entry.rhs}, "
            f"but {relation.name!r} in the data between {relation.lhs} and {relation.rhs}"
        )
