"""The plan of a job: its buckets, what each of them needs, and how large everything is. It never changes."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from graphbed.config.choices import Operator
from graphbed.config.job import ANY_RELATION, JobConfig, RelationConfig
from graphbed.errors import BadConfig
from graphbed.graph.partition import Bucket, Partition
from graphbed.graph.schema import GraphSchema
from services.lockserver.arrays import PlanArrays
from services.lockserver.limits import require_limits

SPLIT = "train"
"""The split that training reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of the edges: its entity types, and into how many partitions those that are cut are cut."""

    types: tuple[str, ...]
    partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How work is given out; other ones may come when the job is submitted again."""

    barrier: bool = False
    """Whether an epoch begins only when the one before is behind all buckets."""
    deterministic: bool = False
    """Whether leases follow one another, in an order that depends on what is done alone."""
    max_failures: int = 3
    """How often a bucket may fail before it is skipped."""
    max_trainers: int | None = None
    """Most trainers that hold leases at once."""

    @classmethod
    def from_config(cls, config: JobConfig) -> Self:
        """The rules of a job."""
        return cls(
            barrier=config.barrier,
            deterministic=config.deterministic,
            max_failures=config.lease.max_failures,
            max_trainers=config.max_trainers,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything the scheduler needs to know of a job that no trainer can change.

    A bucket without edges is no part of the plan: it is never due, never granted and never counted.
    """

    job: str
    seed: int
    num_groups: int | None
    dimension: int
    """D."""
    row_bytes: int
    """Bytes of one entity in a partition file: its embedding and its optimizer state."""
    lhs: Side
    rhs: Side
    rows: Mapping[Partition, int]
    """V of each partition of each type."""
    edges: Mapping[Bucket, int]
    """Edges of each bucket that has any."""
    resources: Mapping[Bucket, tuple[Partition, ...]]
    """The partitions that a trainer must hold for a bucket, sorted. A type with one partition is its partition 0."""
    rules: Rules
    has_parameters: bool
    """Whether each lease makes a parameter delta: a relation in use has an operator, or types global embeddings."""

    @classmethod
    def from_config(cls, config: JobConfig, schema: GraphSchema) -> Self:
        """The plan of `config` on the graph it names. Raises BadConfig where the two do not fit."""
        entries = _entries_in_use(config, schema)
        for name in {entry.lhs for entry in entries} | {entry.rhs for entry in entries}:
            _check_entity_type(config, schema, name)
        sizes = {len(table.counts) for table in schema.entities.values()}
        require_limits(schema, entries, groups={size: count_groups(size, config.num_groups) for size in sizes})
        lhs = _side(schema, {entry.lhs for entry in entries})
        rhs = _side(schema, {entry.rhs for entry in entries})
        rows = {
            Partition(name, index): count
            for name, table in schema.entities.items()
            for index, count in enumerate(table.counts)
        }
        edges = {bucket: count for bucket, count in sorted(schema.edges_per_bucket(SPLIT).items()) if count}
        for bucket in edges:
            if bucket.lhs >= lhs.partitions or bucket.rhs >= rhs.partitions:
                raise BadConfig(what=f"graph: {schema.name} has edges in bucket {bucket}, outside the partitions")
        lhs_needs = [{_partition(schema, name, index) for name in lhs.types} for index in range(lhs.partitions)]
        rhs_needs = [{_partition(schema, name, index) for name in rhs.types} for index in range(rhs.partitions)]
        resources = {bucket: tuple(sorted(lhs_needs[bucket.lhs] | rhs_needs[bucket.rhs])) for bucket in edges}
        return cls(
            job=config.job,
            seed=config.seed,
            num_groups=config.num_groups,
            dimension=config.dimension,
            row_bytes=4 * (config.dimension + config.optimizer.columns(config.dimension)),
            lhs=lhs,
            rhs=rhs,
            rows=rows,
            edges=edges,
            resources=resources,
            rules=Rules.from_config(config),
            has_parameters=config.global_emb or any(entry.operator is not Operator.NONE for entry in entries),
        )

    @classmethod
    def without_graph(cls, config: JobConfig, buckets: Iterable[Bucket]) -> Self:
        """The plan of a job whose graph is gone: it has these buckets, and nothing that could be trained."""
        nothing = Side(types=(), partitions=1)
        return cls(
            job=config.job,
            seed=config.seed,
            num_groups=config.num_groups,
            dimension=config.dimension,
            row_bytes=0,
            lhs=nothing,
            rhs=nothing,
            rows={},
            edges=dict.fromkeys(buckets, 0),
            resources={},
            rules=Rules.from_config(config),
            has_parameters=False,
        )

    @functools.cached_property
    def shared_sides(self) -> bool:
        """Whether a type that is cut stands on both sides, so that both sides are dealt as one."""
        shared = set(self.lhs.types) & set(self.rhs.types)
        return any(Partition(name, 1) in self.rows for name in shared)

    def bytes(self, partition: Partition) -> int:
        """Size of a partition's numbers. Bytes."""
        return self.rows[partition] * self.row_bytes

    @functools.cached_property
    def arrays(self) -> PlanArrays:
        """Buckets and partitions as arrays."""
        return PlanArrays.build(self.edges, self.resources, self.rows, self.row_bytes)

    @functools.cached_property
    def largest_bytes(self) -> int:
        """Size of the largest partition, at least 1. Bytes."""
        return max([1, *(self.bytes(partition) for partition in self.rows)])

    @functools.cached_property
    def edges_per_epoch(self) -> int:
        """Edges of all buckets."""
        return sum(self.edges.values())


def count_groups(partitions: int, num_groups: int | None) -> int:
    """G for so many partitions: as configured, else half as many, so that each deal mixes them anew; but one for each
    of the first four."""
    return min(num_groups or max((partitions + 1) // 2, min(partitions, 4)), partitions)


def _entries_in_use(config: JobConfig, schema: GraphSchema) -> list[RelationConfig]:
    """The entries of `relations` that stand for a relation of the graph, each once."""
    by_name = {entry.name: entry for entry in config.relations}
    used: dict[str, RelationConfig] = {}
    for relation in schema.relations:
        entry = by_name.get(relation.name, by_name.get(ANY_RELATION))
        if entry is None:
            raise BadConfig(what=f"relations: no entry for the relation {relation.name} of the graph {schema.name}")
        if (entry.lhs, entry.rhs) != (relation.lhs, relation.rhs):
            raise BadConfig(
                what=f"relations: {relation.name} joins {entry.lhs} and {entry.rhs}, "
                f"in the graph {schema.name} {relation.lhs} and {relation.rhs}"
            )
        used[entry.name] = entry
    return list(used.values())


def _check_entity_type(config: JobConfig, schema: GraphSchema, name: str) -> None:
    if name not in schema.entities:
        raise BadConfig(what=f"entities: the graph {schema.name} has no entity type {name}")
    asked, found = config.entities[name].num_partitions, len(schema.entities[name].partitions)
    if asked != found:
        raise BadConfig(
            what=f"entities.{name}.num_partitions is {asked}, but the graph {schema.name} was cut into {found}"
        )


def _side(schema: GraphSchema, types: set[str]) -> Side:
    counts = [len(schema.entities[name].partitions) for name in types]
    return Side(types=tuple(sorted(types)), partitions=max(counts, default=1))


def _partition(schema: GraphSchema, name: str, index: int) -> Partition:
    return Partition(name, index if len(schema.entities[name].partitions) > 1 else 0)
