"""A small job with its history: real decisions of a lock server, and trainers that store noise and tell of it."""

from pathlib import Path

import numpy as np

from graphbed import history
from graphbed.config.job import JobConfig
from graphbed.storage import layout
from graphbed.storage.partition_file import PartitionArrays, pack_partition
from graphbed.storage.receipt import Receipt
from services.lockserver.answers import Commitment, Granted
from services.lockserver.records import Progress
from tests.simulation.stores import Objects
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster, next_hex
from tests.unit.lockserver.examples import square_schema


class TellingTrainer:
    """Trains nothing, stores noise, and tells of it as the real processes do."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def acquire(self) -> Granted:
        request = next_hex()
        with history.operation("acquire", trainer=self.name, request=request) as told:
            answer = self.cluster.coordinator.acquire(trainer=self.name, request_id=request)
            assert isinstance(answer, Granted)
            told["lease"] = answer.lease.lease_id
        with history.operation("renew", trainer=self.name, lease=answer.lease.lease_id):
            self.cluster.coordinator.renew(trainer=self.name, lease_id=answer.lease.lease_id, progress=Progress())
        return answer

    def succeed(self, granted: Granted) -> Granted | None:
        request, parent = next_hex(), granted.lease.lease_id
        with history.operation("acquire", trainer=self.name, request=request, parent=parent) as told:
            answer = self.cluster.coordinator.succeed(trainer=self.name, request_id=request, parent=parent)
            told["lease"] = answer.lease.lease_id if isinstance(answer, Granted) else None
        return answer if isinstance(answer, Granted) else None

    def commit(self, granted: Granted) -> None:
        lease, request = granted.lease, next_hex()
        versions = []
        for start in lease.partitions:
            key = layout.partition_version(granted.job, start.partition, lease.lease_id)
            arrays = PartitionArrays(embeddings=np.ones((7, 4), np.float32), sums=np.ones((7, 1), np.float32))
            stored = self.cluster.store.create(key, pack_partition(arrays))
            with history.operation("store", key=key, sha256=stored.sha256):
                receipt = Receipt(key=key, size=stored.size, sha256=stored.sha256, rows=7, dimension=4)
            versions.append((start.partition, receipt))
        delta = self.cluster.store.create(layout.parameter_delta(granted.job, lease.lease_id), b"delta")
        done = Commitment(
            lease_id=lease.lease_id,
            versions=versions,
            parameters=Receipt(key=delta.key, size=delta.size, sha256=delta.sha256),
            edges=1,
            loss=1.0,
        )
        with history.operation("commit", trainer=self.name, request=request, lease=lease.lease_id):
            self.cluster.coordinator.commit(trainer=self.name, request_id=request, done=done)


def record_a_job(folder: Path, objects: Objects) -> JobConfig:
    """Two trainers work, the state is lost while a lease lives, and a third trainer ends the job; told in `folder`."""
    history.configure(str(folder), "everybody")
    try:
        cluster = Cluster(objects)
        config = cluster.submit(square_schema(8), relations=WITH_OPERATOR, num_epochs=2, num_groups=8)
        ann, bob = TellingTrainer(cluster, "ann"), TellingTrainer(cluster, "bob")
        ann.commit(ann.acquire())
        for _ in range(2):
            first, second = ann.acquire(), bob.acquire()
            ann.commit(first)
            bob.commit(second)
        cluster.manifests.write(config.job, compact=False)
        ann.acquire()
        # Gone with everything that it remembered; another begins with the same objects.
        cluster = Cluster(objects)
        eve = TellingTrainer(cluster, "eve")
        history.record("quiet")
        while cluster.jobs.current(config.job).header.status == "running":
            granted = eve.acquire()
            successor = eve.succeed(granted)
            eve.commit(granted)
            if successor is not None:
                eve.commit(successor)
        cluster.manifests.write(config.job, compact=False)
        return config
    finally:
        history.configure(None, "everybody")
