"""Tables: the first embeddings of a partition."""

import numpy as np

from graphbed.config.job import JobConfig
from graphbed.graph.partition import Partition
from graphbed.graph.schema import GraphSchema
from graphbed.model.generators import named_generator
from graphbed.storage.graph_files import read_initial
from graphbed.storage.objects import ObjectStore
from graphbed.storage.partition_file import PartitionArrays

# Shapes: V entities in the partition, D dimension.


def sum_columns(config: JobConfig) -> int:
    """Columns of the optimizer's state of an embedding table."""
    return config.optimizer.columns(config.dimension)


def first_partition(
    store: ObjectStore, config: JobConfig, schema: GraphSchema, partition: Partition
) -> PartitionArrays:
    """What an untrained partition holds: `initial_partition`, with the graph's initial vectors where it has some.

    Raises ObjectMissing, ObjectCorrupt.
    """
    table = schema.entities[partition.entity_type]
    rows = table.counts[partition.index]
    arrays = initial_partition(config, partition, rows)
    if table.initial:
        file = table.initial[partition.index]
        offsets, vectors = read_initial(store, file, rows=rows, dimension=config.dimension)
        arrays.embeddings[offsets] = vectors
    return arrays


def initial_partition(config: JobConfig, partition: Partition, rows: int) -> PartitionArrays:
    """Normal embeddings float32 [V, D] of standard deviation `init_scale`, and sums of zero.

    A function of (seed, entity type, index) and the shape alone, so any trainer can make it, again and again.
    """
    generator = named_generator(config.seed, partition.entity_type, partition.index)
    embeddings = generator.standard_normal((rows, config.dimension), dtype=np.float32)
    embeddings *= np.float32(config.init_scale)
    return PartitionArrays(embeddings=embeddings, sums=np.zeros((rows, sum_columns(config)), np.float32))
