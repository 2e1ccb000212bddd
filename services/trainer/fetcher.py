"""The first stage: partitions and edges of a lease into memory."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from graphbed.clients.partitions import PartitionClient
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket, Partition
from graphbed.model.kernel import Table
from graphbed.model.tables import first_partition, sum_columns
from graphbed.storage.graph_files import check_edges, read_edges
from graphbed.storage.objects import ObjectStore
from graphbed.storage.partition_file import PartitionArrays, unpack_partition
from services.trainer.guard import LeaseGuard
from services.trainer.jobs import Job
from services.trainer.memory import available_bytes, lease_bytes, require_memory
from services.trainer.metrics import TrainerMetrics
from services.trainer.work import Assignment, LeaseTable, LeaseWork

FLOAT_BYTES = 4


class Fetcher:
    """Gathers what a lease needs; keeps nothing between leases."""

    def __init__(self, partitions: PartitionClient, store: ObjectStore, metrics: TrainerMetrics) -> None:
        self._partitions = partitions
        self._store = store
        self._metrics = metrics

    def fits(self, assignments: Sequence[Assignment]) -> bool:
        """Whether leases of one job may be in memory together."""
        return sum(map(_needed_bytes, assignments)) <= _limit_bytes(assignments[0].job)

    def fetch(self, assignment: Assignment, guard: LeaseGuard) -> LeaseWork:
        """Read everything, unless the guard says that the lease is lost or the trainer stops.

        What it is to inherit from its parent is left open. Raises TooLarge before the first byte is read, ObjectCorrupt
        and ObjectMissing with the object's name.
        """
        require_memory(_needed_bytes(assignment), _limit_bytes(assignment.job))
        tables = {
            entity_type: self._table(assignment, members, guard)
            for entity_type, members in _by_type(assignment.versions).items()
        }
        edges = self._edges(assignment, tables, guard)
        return LeaseWork(assignment=assignment, tables=tables, edges=edges)

    def _table(self, assignment: Assignment, members: Iterable[Partition], guard: LeaseGuard) -> LeaseTable:
        job = assignment.job
        starts: dict[Partition, int] = {}
        rows = 0
        for partition in members:
            starts[partition] = rows
            rows += job.rows(partition)
        table = Table(
            embeddings=np.empty((rows, job.config.dimension), np.float32),
            sums=np.empty((rows, sum_columns(job.config)), np.float32),
        )
        for partition, start in starts.items():
            if partition in assignment.from_parent:
                continue
            guard.check()
            arrays = self._partition(assignment, partition, guard)
            table.embeddings[start : start + job.rows(partition)] = arrays.embeddings
            table.sums[start : start + job.rows(partition)] = arrays.sums
        return LeaseTable(table=table, starts=starts)

    def _partition(self, assignment: Assignment, partition: Partition, guard: LeaseGuard) -> PartitionArrays:
        job = assignment.job
        receipt = assignment.versions[partition]
        if receipt is None:
            return guard.ask(partial(first_partition, self._store, job.config, job.schema, partition))
        data = guard.ask(partial(self._partitions.fetch, job.config.job, partition, receipt))
        guard.moved(len(data))
        self._metrics.bytes.labels("in").inc(len(data))
        return unpack_partition(data, rows=job.rows(partition), dimension=job.config.dimension, key=receipt.key)

    def _edges(self, assignment: Assignment, tables: Mapping[str, LeaseTable], guard: LeaseGuard) -> list[EdgeArrays]:
        job = assignment.job
        parts: list[list[EdgeArrays]] = [[] for _ in job.config.relations]
        for bucket in assignment.buckets:
            file = job.edge_files.get((bucket.lhs, bucket.rhs))
            if file is None:
                continue
            guard.check()
            edges = check_edges(
                guard.ask(partial(read_edges, self._store, file, job.schema.weighted)), file, job.schema
            )
            guard.moved(file.file.size)
            group_of_edge = job.groups.group[edges.relation]
            for index, part in enumerate(parts):
                chosen = group_of_edge == index
                if chosen.any():
                    part.append(_to_rows(job, index, bucket, edges, chosen, tables))
        return [_concatenate(part) for part in parts]


def _needed_bytes(assignment: Assignment) -> int:
    job = assignment.job
    row_bytes = FLOAT_BYTES * (job.config.dimension + sum_columns(job.config))
    files = (job.edge_files.get((bucket.lhs, bucket.rhs)) for bucket in assignment.buckets)
    return lease_bytes(
        [
            sum(job.rows(partition) for partition in members) * row_bytes
            for members in _by_type(assignment.versions).values()
        ],
        edges=sum(file.file.rows for file in files if file),
        parameter_bytes=job.parameter_bytes,
    )


def _limit_bytes(job: Job) -> int:
    return job.config.trainer.memory_limit_bytes or available_bytes()


def _to_rows(
    job: Job,
    group: int,
    bucket: Bucket,
    edges: EdgeArrays,
    chosen: np.ndarray,
    tables: Mapping[str, LeaseTable],
) -> EdgeArrays:
    """The chosen edges with offsets turned into table rows, relations into tensor rows, weights multiplied."""
    entry = job.config.relations[group]
    return EdgeArrays(
        lhs=edges.lhs[chosen] + _start(job, tables[entry.lhs], entry.lhs, bucket.lhs),
        relation=job.groups.row[edges.relation[chosen]],
        rhs=edges.rhs[chosen] + _start(job, tables[entry.rhs], entry.rhs, bucket.rhs),
        weight=edges.weight[chosen] * np.float32(entry.weight),
    )


def _start(job: Job, lease_table: LeaseTable, entity_type: str, index: int) -> int:
    # A type that is not cut has one partition, whatever the bucket's index.
    uncut = len(job.schema.entities[entity_type].partitions) == 1
    return lease_table.starts[Partition(entity_type, 0 if uncut else index)]


def _concatenate(parts: list[EdgeArrays]) -> EdgeArrays:
    def joined(columns: list[np.ndarray], dtype: type) -> np.ndarray:
        return np.concatenate(columns) if columns else np.empty(0, dtype)

    return EdgeArrays(
        lhs=joined([part.lhs for part in parts], np.int64),
        relation=joined([part.relation for part in parts], np.int32),
        rhs=joined([part.rhs for part in parts], np.int64),
        weight=joined([part.weight for part in parts], np.float32),
    )


def _by_type(partitions: Iterable[Partition]) -> dict[str, list[Partition]]:
    """Sorted, so that a table's rows are in one order on any machine."""
    members: dict[str, list[Partition]] = {}
    for partition in sorted(partitions):
        members.setdefault(partition.entity_type, []).append(partition)
    return members
