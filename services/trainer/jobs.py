"""Jobs as a trainer sees them: configuration, graph, relation groups and kernels, prepared once."""

from dataclasses import dataclass

import numpy as np

from graphbed.clients.lockserver import LockServerClient
from graphbed.clients.parameters import ParameterClient
from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.graph.partition import Partition
from graphbed.graph.schema import EdgeFile, GraphSchema
from graphbed.model.parameters import initial_parameters
from graphbed.model.relations import RelationGroups
from graphbed.storage.graph_document import read_graph
from graphbed.storage.objects import ObjectStore
from graphbed.v1 import lockserver_pb2

TRAIN_SPLIT = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job's unchanging facts."""

    config: JobConfig
    schema: GraphSchema
    groups: RelationGroups
    edge_files: dict[tuple[int, int], EdgeFile]
    """(lhs, rhs) of a bucket → its training edges; a bucket without edges is absent."""
    tensors: tuple[str, ...]
    """Names of the parameter tensors; none if no relation has an operator."""
    parameter_bytes: int
    """What all of them take."""

    def rows(self, partition: Partition) -> int:
        """V, entities in the partition."""
        return self.schema.entities[partition.entity_type].counts[partition.index]


class Jobs:
    """Jobs by name, read when first granted, and anew when a name is another job's."""

    def __init__(self, locks: LockServerClient, parameters: ParameterClient, store: ObjectStore) -> None:
        self._locks = locks
        self._parameters = parameters
        self._store = store
        self._jobs: dict[str, tuple[tuple[str, str], Job]] = {}
        """Name → SHA-256 of configuration and graph as they were granted, and the job."""

    def get(self, grant: lockserver_pb2.Grant) -> Job:
        """The job of a grant. Raises GraphbedError if the lock server or the store do not give it."""
        content = grant.config_sha256, grant.graph_sha256
        known = self._jobs.get(grant.job)
        if known is None or known[0] != content:
            # The first one of that name, or the one before was deleted.
            known = self._jobs[grant.job] = content, self._read(grant.job)
        return known[1]

    def declare(self, job: Job) -> None:
        """Name the job's tensors to the parameter server; harmless when it knows them."""
        initial = initial_parameters(job.config, job.groups)
        if initial:
            self._parameters.declare(job.config.job, initial)

    def _read(self, name: str) -> Job:
        config = parse_job(self._locks.get_job(name).config_yaml, source=f"job {name}")
        schema = read_graph(self._store, config.graph)
        groups = RelationGroups.from_schema(config, schema)
        initial: dict[str, np.ndarray] = initial_parameters(config, groups)
        job = Job(
            config=config,
            schema=schema,
            groups=groups,
            edge_files={(file.lhs, file.rhs): file for file in schema.splits.get(TRAIN_SPLIT, ())},
            tensors=tuple(sorted(initial)),
            parameter_bytes=sum(values.nbytes for values in initial.values()),
        )
        self.declare(job)
        return job
