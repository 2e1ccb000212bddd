"""Subjects: the edges that a kernel is measured on, of a synthetic graph or of a job."""

from dataclasses import dataclass

import numpy as np

from graphbed.benchmark.graph_s import graph_s
from graphbed.config.job import JobConfig
from graphbed.errors import InputError
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.schema import GraphSchema
from graphbed.model.relations import RelationGroups
from graphbed.storage.graph_files import check_edges, read_edges
from graphbed.storage.objects import ObjectStore

TRAIN_SPLIT = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One group of relations, its entity types as if they had one partition each."""

    config: JobConfig
    group: int
    """Index into `config.relations`."""
    rows: dict[str, int]
    """Entities of the types on both sides."""
    relations: int
    """Relations of the group."""
    edges: EdgeArrays
    """lhs and rhs count through all entities of a type, relations through those of the group."""


def synthetic_subject(config: JobConfig, *, nodes: int, edges: int, relations: int) -> Subject:
    """Graph S for the first group of `config`, both sides of which have one entity type."""
    rows = {config.relations[0].lhs: nodes}
    return Subject(config=config, group=0, rows=rows, relations=relations, edges=graph_s(nodes, edges, relations))


def job_subject(store: ObjectStore, config: JobConfig, schema: GraphSchema) -> Subject:
    """The training edges of the job's largest group.

    Raises InputError if there are none, BadConfig, ObjectMissing and ObjectCorrupt.
    """
    groups = RelationGroups.from_schema(config, schema)
    files = schema.splits.get(TRAIN_SPLIT, ())
    buckets = [(file, check_edges(read_edges(store, file, schema.weighted), file, schema)) for file in files]
    sizes = np.zeros(len(groups.entries), np.int64)
    for _, edges in buckets:
        sizes += np.bincount(groups.group[edges.relation], minlength=len(sizes))
    if not sizes.any():
        raise InputError(what=f"the graph {config.graph} has no training edges to measure")
    group = int(sizes.argmax())
    entry = groups.entries[group]
    parts = []
    for file, edges in buckets:
        chosen = edges.take(groups.group[edges.relation] == group)
        lhs_start, rhs_start = _start(schema, entry.lhs, file.lhs), _start(schema, entry.rhs, file.rhs)
        parts.append((chosen.lhs + lhs_start, groups.row[chosen.relation], chosen.rhs + rhs_start, chosen.weight))
    lhs, relation, rhs, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Subject(
        config=config,
        group=group,
        rows={name: sum(schema.entities[name].counts) for name in (entry.lhs, entry.rhs)},
        relations=groups.counts[group],
        edges=EdgeArrays(lhs=lhs, relation=relation, rhs=rhs, weight=weight * np.float32(entry.weight)),
    )


def _start(schema: GraphSchema, entity_type: str, index: int) -> int:
    """How many entities lie before the partition; a type that is not cut has one, whatever the bucket's index."""
    counts = schema.entities[entity_type].counts
    return sum(counts[:index]) if len(counts) > 1 else 0
