"""The work of one lease: what the fetcher gathers, the runner trains and the storer stores."""

from dataclasses import dataclass

import numpy as np

from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket, Partition
from graphbed.model.kernel import Table
from graphbed.storage.receipt import Receipt
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

    def partition_rows(self, partition: Partition) -> tuple[np.ndarray, np.ndarray]:
        """Views of the embeddings [v, D] and sums [v, 1 or D] of one partition."""
        lease_table = self.tables[partition.entity_type]
        start = lease_table.starts[partition]
        stop = start + self.assignment.job.rows(partition)
        return lease_table.table.embeddings[start:stop], lease_table.table.sums[start:stop]
