"""Checkpoints: a trained model as a manifest describes it, read from the object store alone."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.errors import CheckpointMissing, ConfigDiffers, ObjectCorrupt, ObjectMissing
from graphbed.graph.partition import Partition
from graphbed.graph.schema import GraphSchema
from graphbed.model.parameters import initial_parameters
from graphbed.model.relations import RelationGroups
from graphbed.model.tables import first_partition
from graphbed.storage import layout
from graphbed.storage.graph_document import read_graph_and_sha256
from graphbed.storage.manifest import Manifest, StoredVersion, require_newest
from graphbed.storage.objects import ObjectStore, get_verified
from graphbed.storage.parameter_file import unpack_tensors
from graphbed.storage.partition_file import unpack_partition

# Shapes: V entities of a partition, D dimension, Rg relations of a group.

_HEADER_ROOM = 1 << 20
"""Bytes of a parameter file beside its tensors, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One manifest of a job and what it points to. Every byte is checked against the manifest before it is used."""

    config: JobConfig
    schema: GraphSchema
    manifest: Manifest
    parameters: dict[str, np.ndarray]
    """Tensor name → float32 [Rg, D], values and Adagrad sums: base (or initial ones) plus all deltas in order."""
    store: ObjectStore

    @classmethod
    def read(cls, store: ObjectStore, job: str, manifest: Manifest | None = None) -> Self:
        """The checkpoint of `manifest`, or of the job's newest; embeddings are read when they are asked for.

        Raises CheckpointMissing if there is none, GraphMissing, ConfigDiffers if the graph was ingested anew since,
        ObjectMissing or ObjectCorrupt with the object's key if something it points to is gone or damaged.
        """
        chosen = manifest or require_newest(store, job)
        try:
            document = store.get(layout.job_document(job))
        except ObjectMissing:
            raise CheckpointMissing(job=job, store=store.address) from None
        config = parse_job(document.decode(), source=layout.job_document(job))
        schema, graph_sha256 = read_graph_and_sha256(store, config.graph)
        if graph_sha256 != chosen.graph_sha256:
            raise ConfigDiffers(job=job, keys=f"graph {config.graph} was ingested anew since")
        return cls(
            config=config,
            schema=schema,
            manifest=chosen,
            parameters=_parameters(store, config, schema, chosen),
            store=store,
        )

    def embeddings(self, entity_type: str) -> list[np.ndarray]:
        """float32 [V, D] of each partition of the type in order; the initial ones where nothing was trained yet.

        Raises ObjectMissing, ObjectCorrupt, BadPartition.
        """
        versions = {
            pointer.index: pointer.version for pointer in self.manifest.pointers if pointer.entity_type == entity_type
        }
        tables: list[np.ndarray] = []
        for index, rows in enumerate(self.schema.entities[entity_type].counts):
            version = versions.get(index)
            if version is None:
                arrays = first_partition(self.store, self.config, self.schema, Partition(entity_type, index))
            else:
                data = get_verified(self.store, version.key, size=version.size, sha256=version.sha256)
                arrays = unpack_partition(data, rows=rows, dimension=self.config.dimension, key=version.key)
            tables.append(arrays.embeddings)
        return tables


def _parameters(
    store: ObjectStore, config: JobConfig, schema: GraphSchema, manifest: Manifest
) -> dict[str, np.ndarray]:
    initial = initial_parameters(config, RelationGroups.from_schema(config, schema))
    base = manifest.parameters.base
    # Files may be read-only views of their bytes, and the deltas are added in place.
    read = _read_tensors(store, base, initial) if base else initial
    tensors = {name: np.array(read.get(name, initial[name])) for name in initial}
    for delta in manifest.parameters.deltas:
        for name, change in _read_tensors(store, delta, initial).items():
            tensors[name] += change
    return tensors


def _read_tensors(store: ObjectStore, version: StoredVersion, initial: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    data = get_verified(store, version.key, size=version.size, sha256=version.sha256)
    max_bytes = _HEADER_ROOM + sum(tensor.nbytes for tensor in initial.values())
    tensors: dict[str, np.ndarray] = dict(unpack_tensors(data, key=version.key, max_bytes=max_bytes))
    for name, tensor in tensors.items():
        if name not in initial or tensor.shape != initial[name].shape:
            raise ObjectCorrupt(
                key=version.key, what=f"it holds {name} {list(tensor.shape)}, which the job does not have"
            )
    return tensors
