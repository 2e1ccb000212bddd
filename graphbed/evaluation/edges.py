"""Edges of a whole split, entities counted through all partitions of their type."""

# Shapes: E edges, R relations of the graph.

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphbed.errors import InputError
from graphbed.graph.schema import GraphSchema
from graphbed.storage.graph_files import check_edges, read_edges
from graphbed.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitEdges:
    """Edges by entity id: partition 0 of the type first, then partition 1, and so on."""

    lhs: NDArray[np.int64]
    """[E] entity id among its type."""
    relation: NDArray[np.int32]
    """[E] relation id."""
    rhs: NDArray[np.int64]
    """[E] entity id among its type."""

    def __len__(self) -> int:
        return len(self.lhs)


def load_edges(store: ObjectStore, schema: GraphSchema, splits: Iterable[str]) -> SplitEdges:
    """All edges of the splits, one after the other. Raises InputError for a split that the graph does not have."""
    lhs, relation, rhs = [], [], []
    for split in splits:
        if split not in schema.splits:
            raise InputError(what=f"The graph {schema.name} has no split {split}; it has {', '.join(schema.splits)}.")
        for edge_file in schema.splits[split]:
            edges = check_edges(read_edges(store, edge_file, schema.weighted), edge_file, schema)
            lhs.append(edges.lhs + _bases(schema, "lhs", edge_file.lhs)[edges.relation])
            relation.append(edges.relation)
            rhs.append(edges.rhs + _bases(schema, "rhs", edge_file.rhs)[edges.relation])
    if not lhs:
        raise InputError(what=f"The graph {schema.name} has no edges in {', '.join(splits)}.")
    return SplitEdges(lhs=np.concatenate(lhs), relation=np.concatenate(relation), rhs=np.concatenate(rhs))


def _bases(schema: GraphSchema, side: str, index: int) -> NDArray[np.int64]:
    """[R] id of the first entity of partition `index` of each relation's type on `side`."""
    counts = [schema.entities[getattr(relation, side)].counts for relation in schema.relations]
    return np.array([sum(count[:index]) if len(count) > 1 else 0 for count in counts], dtype=np.int64)
