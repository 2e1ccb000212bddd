"""Running one job to its end on this machine, telling whoever watches how far it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphbed.storage.address import open_store

from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.storage.manifest import Manifest, newest_manifest
from graphbed.v1 import lockserver_pb2
from services.standalone.cluster import StandaloneCluster

_LOOK_SECONDS = 0.25
_LAST_MANIFEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a standalone run came to."""

    manifest: Manifest
    """The job's newest checkpoint."""
    resumed: bool
    """Whether the job had been started before."""
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

    Raises GraphMissing, ConfigDiffers, TrainersFailed. On KeyboardInterrupt leases are handed back and what was
    committed is kept.
    """
    started = time.monotonic()
    with StandaloneCluster(config.store, trainers=trainers, threads=config.trainer.threads, environ=environ) as cluster:
        created = cluster.submit(dump_job(config))
        while True:
            reply = cluster.locks.get_job(config.job)
            watch(reply)
            if reply.summary.status != lockserver_pb2.JOB_STATUS_RUNNING:
                break
            cluster.trainers.tend()
            time.sleep(_LOOK_SECONDS)
        manifest = _final_manifest(config, environ)
    return Training(manifest=manifest, resumed=not created, seconds=time.monotonic() - started)


def _final_manifest(config: JobConfig, environ: Mapping[str, str]) -> Manifest:
    store = open_store(config.store, environ)
    deadline = time.monotonic() + _LAST_MANIFEST_SECONDS
    while True:
        newest = newest_manifest(store, config.job)
        if newest is not None and newest[0].status != "running":
            return newest[0]
        if time.monotonic() > deadline:
            raise TimeoutError("the last manifest was not written")
        time.sleep(_LOOK_SECONDS)
