"""What is exported: the entities with their vectors, the relations with their parameters."""

# Shapes: V entities of a partition, D dimension, R relations of the data, K numbers of an operator.

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphbed.config.choices import Operator
from graphbed.config.formulas import score_formulas
from graphbed.model.checkpoint import Checkpoint
from graphbed.model.parameters import global_names, values_name
from graphbed.model.relations import RelationGroups
from graphbed.storage.graph_files import read_entities
from graphbed.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRelation:
    """One relation of the data and its operator."""

    name: str
    lhs: str
    """Entity type of the left side."""
    rhs: str
    """Entity type of the right side."""
    operator: Operator
    reciprocal: bool
    rhs_parameters: NDArray[np.float32] | None
    """[K] used when right sides are sought, and for both sides of a plain relation; None without an operator."""
    lhs_parameters: NDArray[np.float32] | None
    """[K] used when left sides are sought; None unless the relation is reciprocal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A checkpoint as an export shows it."""

    store: ObjectStore
    checkpoint: Checkpoint

    def parts(self, entity_type: str) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Names [V] and embeddings [V, D] of each partition, a global embedding added. Raises ObjectCorrupt."""
        files = self.checkpoint.schema.entities[entity_type].partitions
        shared = self.checkpoint.parameters.get(global_names(entity_type)[0])
        for file, table in zip(files, self.checkpoint.embeddings(entity_type), strict=True):
            yield read_entities(self.store, file), table if shared is None else table + shared

    def count(self, entity_type: str) -> int:
        """Entities of the type."""
        return sum(self.checkpoint.schema.entities[entity_type].counts)

    def relations(self) -> list[ExportedRelation]:
        """The relations in the order of their ids."""
        groups = RelationGroups.from_schema(self.checkpoint.config, self.checkpoint.schema)

        def parameters(relation: int, side: str) -> NDArray[np.float32] | None:
            tensor = self.checkpoint.parameters.get(values_name(int(groups.group[relation]), side))
            return None if tensor is None else tensor[int(groups.row[relation])]

        return [
            ExportedRelation(
                name=relation.name,
                lhs=relation.lhs,
                rhs=relation.rhs,
                operator=groups.entries[int(groups.group[number])].operator,
                reciprocal=groups.entries[int(groups.group[number])].reciprocal,
                rhs_parameters=parameters(number, "rhs"),
                lhs_parameters=parameters(number, "lhs"),
            )
            for number, relation in enumerate(self.checkpoint.schema.relations)
        ]

    def description(self) -> dict[str, object]:
        """export.json: what was exported and how its vectors become scores."""
        config = self.checkpoint.config
        return {
            "job": config.job,
            "graph": config.graph,
            "checkpoint": self.checkpoint.manifest.sequence,
            "status": self.checkpoint.manifest.status,
            "seed": config.seed,
            "dimension": config.dimension,
            "comparator": str(config.comparator),
            "bias": config.bias,
            "entities": {kind: self.count(kind) for kind in self.checkpoint.schema.entities},
            "relations": len(self.checkpoint.schema.relations),
            "scores": score_formulas(config),
        }
