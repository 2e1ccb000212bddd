"""Looking after the jobs of this machine while nothing trains: going back to an older checkpoint, garbage."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from graphbed.clients.parts import collect_in_parts, delete_in_parts
from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.errors import JobNotEnded
from graphbed.storage.address import open_store
from graphbed.storage.manifest import Manifest
from graphbed.v1 import lockserver_pb2
from services.lockserver.collector import Collector
from services.lockserver.deletion import Deleted, Deleter
from services.lockserver.file_store import FileStateStore
from services.lockserver.jobs import JobTable
from services.lockserver.manifests import ManifestWriter
from services.lockserver.messages import collect_reply
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.operations import Operations
from services.standalone.cluster import state_folder
from services.standalone.lock import FolderLock


@dataclass(frozen=True, slots=True)
class _Keepers:
    """The parts of a lock server that need no network."""

    jobs: JobTable
    operations: Operations


def restore(config: JobConfig, sequence: int, *, environ: Mapping[str, str]) -> Manifest:
    """Let the job go on from manifest `sequence` when it is trained next; return the new manifest.

    Raises InputError while a run works on the store, JobUnknown, and what JobTable.restore raises.
    """
    with _keepers(config, environ) as keepers:
        return keepers.jobs.restore(config.job, sequence)


def collect(config: JobConfig, *, dry_run: bool, environ: Mapping[str, str]) -> list[lockserver_pb2.CollectResponse]:
    """Delete what nobody needs any more, part by part, or tell what would go.

    Raises InputError while a run works on the store, JobUnknown, and what Collector.collect raises.
    """
    with _keepers(config, environ) as keepers:
        collected = collect_in_parts(lambda: keepers.operations.collect(config.job, dry_run=dry_run), dry_run=dry_run)
    return [collect_reply(each) for each in collected]


def delete(config: JobConfig, *, environ: Mapping[str, str]) -> list[Deleted]:
    """Delete the job with all its bytes, part by part; one that was interrupted is cancelled first.

    Raises InputError while a run works on the store, and what Deleter.delete raises.
    """
    with _keepers(config, environ) as keepers:
        return delete_in_parts(partial(_delete_part, keepers.operations, config.job))


def _delete_part(operations: Operations, job: str) -> Deleted:
    try:
        return operations.delete(job)
    except JobNotEnded:
        operations.cancel(job)
        return operations.delete(job)


@contextmanager
def _keepers(config: JobConfig, environ: Mapping[str, str]) -> Iterator[_Keepers]:
    """The jobs of the store, while no run works on it. Raises InputError if one does."""
    folder = state_folder(config.store)
    clock, metrics = SystemClock(), LockServerMetrics(CollectorRegistry())
    with FolderLock(folder):
        store = open_store(config.store, environ)
        jobs = JobTable(
            store=store,
            state=FileStateStore(folder),
            clock=clock,
            random_hex=_random_hex,
            metrics=metrics,
            server="graphbed on this machine",
        )
        manifests = ManifestWriter(
            jobs=jobs, store=store, parameters=None, clock=clock, random_hex=_random_hex, metrics=metrics
        )
        collector = Collector(jobs=jobs, store=store, clock=clock, metrics=metrics)
        deleter = Deleter(jobs=jobs, manifests=manifests, collector=collector, store=store, parameters=None)
        yield _Keepers(jobs, Operations(jobs=jobs, manifests=manifests, collector=collector, deleter=deleter))


def _random_hex() -> str:
    return secrets.token_hex(16)
