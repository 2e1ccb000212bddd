"""Fetching, training and storing side by side: the same result as one after another."""

from pathlib import Path

import numpy as np
import pytest

from graphbed.config.load import dump_job
from graphbed.graph.partition import Partition
from graphbed.storage.address import open_store
from graphbed.storage.manifest import require_newest
from graphbed.storage.partition_file import unpack_partition
from graphbed.v1 import lockserver_pb2
from services.standalone.cluster import StandaloneCluster
from tests.fixtures.cluster import wait_for
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.history import check_history

pytestmark = pytest.mark.timeout(240)

ONE_LEASE_BYTES = 1_100_000
"""More than one lease of the job below needs, and less than two."""


def trained(folder: Path, memory_limit_bytes: int) -> tuple[dict[Partition, np.ndarray], float, float]:
    """Embeddings by partition, loss of the last epoch, and how many leases were granted as successors."""
    config = codex_job(
        store_url(folder),
        num_epochs=2,
        entities={"entity": {"num_partitions": 8}},
        trainer={"threads": 1, "memory_limit_bytes": memory_limit_bytes},
    )
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    with StandaloneCluster(config.store, job=config.job, trainers=1, threads=1, environ={}) as cluster:
        cluster.submit(dump_job(config))

        def completed() -> bool:
            return cluster.locks.get_job(config.job).summary.status == lockserver_pb2.JOB_STATUS_COMPLETED

        assert wait_for(completed, 150)
        loss = cluster.locks.get_job(config.job).epochs[-1].loss
        successors = cluster.registry.get_sample_value("graphbed_lockserver_successors_total")
    check_history(store, config)
    embeddings = {}
    for pointer in require_newest(store, config.job).pointers:
        version = pointer.version
        arrays = unpack_partition(
            store.get(version.key), rows=version.rows, dimension=version.dimension, key=version.key
        )
        embeddings[pointer.partition] = arrays.embeddings
    return embeddings, loss, successors or 0.0


def test_successors_change_nothing_but_the_time_it_takes(tmp_path: Path) -> None:
    beside, loss, successors = trained(tmp_path / "beside", 0)
    in_turn, other_loss, none = trained(tmp_path / "in turn", ONE_LEASE_BYTES)
    assert successors >= 6
    assert none == 0
    assert loss == pytest.approx(other_loss, rel=1e-5)
    assert beside.keys() == in_turn.keys()
    for partition, embeddings in beside.items():
        np.testing.assert_allclose(embeddings, in_turn[partition], atol=1e-4)
