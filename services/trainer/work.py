"""The work of one lease: what the fetcher gathers, the runner trains and the storer stores."""

from dataclasses import dataclass

import numpy as np

from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket, Partition
from graphbed.model.kernel import Table
from graphbed.storage.receipt import Receipt
from graphbed.v1 import common_pb2, lockserver_pb2
from services.trainer.jobs import Job

# Shapes: V rows of all leased partitions of one type, D dimension.


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A grant in this trainer's own words."""

    job: Job
    lease_id: str
    epoch: int
    buckets: tuple[Bucket, ...]
    versions: dict[Partition, Receipt | None]
    """What to start from; None = never trained, to be initialised from the seed."""
    learning_rate_factor: float
    from_parent: frozenset[Partition] = frozenset()
    """Those of `versions` that start from what the lease before has trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTable:
    """All leased partitions of one entity type, one below the other in one table."""

    table: Table
    """embeddings [V, D] and sums [V, 1 or D]."""
    starts: dict[Partition, int]
    """First row of each partition."""


@dataclass(slots=True, kw_only=True)
class LeaseWork:
    """Everything in memory for one lease."""

    assignment: Assignment
    tables: dict[str, LeaseTable]
    """Entity type → its table."""
    edges: list[EdgeArrays]
    """One for each entry of the configuration's relations; lhs and rhs are rows of the tables, relation is the row in
    the entry's parameter tensors."""
    edges_trained: int = 0
    loss: float = 0.0

    @property
    def edge_count(self) -> int:
        """Edges to train."""
        return sum(len(edges.lhs) for edges in self.edges)

    def inherit(self, parent: "LeaseWork") -> None:
        """Copy what the parent has trained; its own rows stay as they are."""
        for partition in self.assignment.from_parent:
            for mine, theirs in zip(self.partition_rows(partition), parent.partition_rows(partition), strict=True):
                mine[...] = theirs

    def partition_rows(self, partition: Partition) -> tuple[np.ndarray, np.ndarray]:
        """Views of the embeddings [v, D] and sums [v, 1 or D] of one partition."""
        lease_table = self.tables[partition.entity_type]
        start = lease_table.starts[partition]
        stop = start + self.assignment.job.rows(partition)
        return lease_table.table.embeddings[start:stop], lease_table.table.sums[start:stop]


def assignment_of(job: Job, grant: lockserver_pb2.Grant) -> Assignment:
    """What a grant says."""
    return Assignment(
        job=job,
        lease_id=grant.lease_id,
        epoch=grant.epoch,
        buckets=tuple(Bucket(bucket.lhs, bucket.rhs) for bucket in grant.buckets),
        versions={
            _partition(item.partition): Receipt.from_proto(item.version) if item.HasField("version") else None
            for item in grant.partitions
        },
        learning_rate_factor=grant.learning_rate_factor,
        from_parent=frozenset(_partition(partition) for partition in grant.from_parent),
    )


def _partition(message: common_pb2.Partition) -> Partition:
    return Partition(message.entity_type, message.index)
