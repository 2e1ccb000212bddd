"""Going back to an older checkpoint on this machine, while nothing trains."""

import secrets
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.storage.address import open_store
from graphbed.storage.manifest import Manifest
from services.lockserver.file_store import FileStateStore
from services.lockserver.jobs import JobTable
from services.lockserver.metrics import LockServerMetrics
from services.standalone.cluster import state_folder
from services.standalone.lock import FolderLock


def restore(config: JobConfig, sequence: int, *, environ: Mapping[str, str]) -> Manifest:
    """Let the job go on from manifest `sequence` when it is trained next; return the new manifest.

    Raises InputError while a run works on the store, JobUnknown, and what JobTable.restore raises.
    """
    folder = state_folder(config.store)
    with FolderLock(folder):
        jobs = JobTable(
            store=open_store(config.store, environ),
            state=FileStateStore(folder),
            clock=SystemClock(),
            random_hex=lambda: secrets.token_hex(16),
            metrics=LockServerMetrics(CollectorRegistry()),
            server="graphbed checkpoints restore",
        )
        return jobs.restore(config.job, sequence)
