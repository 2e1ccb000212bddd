"""Running one job to its end on this machine, telling whoever watches how far it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphbed.config.choices import Device
from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.errors import JobCancelled, JobPaused, ServerUnreachable
from graphbed.logs import get_logger
from graphbed.storage.address import open_store
from graphbed.storage.graph_document import read_graph
from graphbed.storage.manifest import Manifest, read_manifest
from graphbed.v1 import lockserver_pb2
from services.standalone.cluster import StandaloneCluster

log = get_logger()

_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a standalone run came to."""

    manifest: Manifest
    """The job's newest checkpoint."""
    resumed: bool
    """Whether the job had been started before."""
    edges: int
    """Edges trained in this run; 0 if the job was completed before."""
    seconds: float
    """Wall time of this run, servers and trainers started and stopped included."""


def train(
    config: JobConfig,
    *,
    trainers: int,
    environ: Mapping[str, str],
    watch: Callable[[lockserver_pb2.GetJobResponse], None],
) -> Training:
    """Train `config` to its last epoch and return its final checkpoint; run again, it resumes.

    Raises GraphMissing, ConfigDiffers, JobCancelled, JobPaused, InputError, TrainersFailed. On KeyboardInterrupt leases
    are handed back and what was committed is kept.
    """
    started = time.monotonic()
    store = open_store(config.store, environ)
    read_graph(store, config.graph)
    if config.trainer.device is not Device.CPU:
        from graphbed.model.device_kernel import open_device  # torch, for those who need it

        open_device(config.trainer.device)
    with StandaloneCluster(
        config.store, job=config.job, trainers=trainers, threads=config.trainer.threads, environ=environ
    ) as cluster:
        created = cluster.submit(dump_job(config))
        first = last = cluster.locks.get_job(config.job)
        while last.summary.status == lockserver_pb2.JOB_STATUS_RUNNING:
            watch(last)
            cluster.trainers.tend()
            time.sleep(_LOOK_SECONDS)
            last = _look(cluster, config.job) or last
        watch(last)
    if last.summary.status == lockserver_pb2.JOB_STATUS_PAUSED:
        raise JobPaused(job=config.job, why=last.last_failure or "somebody asked for it")
    if last.summary.status != lockserver_pb2.JOB_STATUS_COMPLETED:
        raise JobCancelled(job=config.job)
    # The lock server calls a job completed only once this manifest is there.
    manifest, _ = read_manifest(store, config.job, last.manifest_sequence)
    return Training(
        manifest=manifest,
        resumed=not created,
        edges=last.summary.edges_done - first.summary.edges_done,
        seconds=time.monotonic() - started,
    )


def _look(cluster: StandaloneCluster, job: str) -> lockserver_pb2.GetJobResponse | None:
    """The job's progress, or None if the lock server, on a busy machine, did not answer in time."""
    try:
        return cluster.locks.get_job(job)
    except ServerUnreachable as error:
        log.warning("no answer about the job", error=str(error))
        return None
