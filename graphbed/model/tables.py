"""Tables: the first embeddings of a partition."""

import hashlib

import numpy as np

from graphbed.config.job import JobConfig, Optimizer
from graphbed.graph.partition import Partition
from graphbed.storage.partition_file import PartitionArrays

# Shapes: V entities in the partition, D dimension.


def sum_columns(config: JobConfig) -> int:
    """Columns of an embedding table's Adagrad sums: 1 if they are kept by row, D if by element."""
    return 1 if config.optimizer is Optimizer.ROW_ADAGRAD else config.dimension


def initial_partition(config: JobConfig, partition: Partition, rows: int) -> PartitionArrays:
    """Normal embeddings float32 [V, D] of standard deviation `init_scale`, and sums of zero.

    A function of (seed, entity type, index) and the shape alone, so any trainer can make it, again and again.
    """
    type_digest = int.from_bytes(hashlib.sha256(partition.entity_type.encode()).digest()[:8], "little")
    generator = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([config.seed, type_digest, partition.index]))
    )
    embeddings = generator.standard_normal((rows, config.dimension), dtype=np.float32)
    embeddings *= np.float32(config.init_scale)
    return PartitionArrays(embeddings=embeddings, sums=np.zeros((rows, sum_columns(config)), np.float32))
