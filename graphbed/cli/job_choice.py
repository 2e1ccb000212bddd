"""Which job a command means: one of a cluster by its name, or the one of a configuration file on this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphbed.cli.arguments import DEFAULT_LOCKSERVER
from graphbed.config.load import load_job, parse_job
from graphbed.errors import InputError, JobUnknown, ObjectMissing

if TYPE_CHECKING:
    from graphbed.config.job import JobConfig
    from graphbed.storage.objects import ObjectStore

AnyJob = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="Name of a job in the cluster, or the JOB.yaml of one on this machine.",
        show_default=False,
    ),
]
AnyLockServer = Annotated[
    str | None,
    typer.Option(
        "--lockserver",
        metavar="HOST:PORT",
        envvar="GRAPHBED_LOCKSERVER",
        help=f"The cluster's lock server: {DEFAULT_LOCKSERVER} for a name; with a JOB.yaml, else this machine.",
    ),
]


def in_cluster(job: str, lockserver: str | None) -> tuple[str, str] | None:
    """The job's name and the lock server to ask; None for a job of this machine. Raises BadConfig, InputError."""
    if not _is_file(job):
        return job, lockserver or DEFAULT_LOCKSERVER
    return None if lockserver is None else (load_job(Path(job)).job, lockserver)


def open_job(job: str, lockserver: str | None) -> "tuple[JobConfig, ObjectStore]":
    """The configuration of a job, and the store where its checkpoints lie.

    A cluster's store is that of GRAPHBED_STORE, else what its lock server knows of the job. Raises BadConfig,
    InputError, JobUnknown, ServerUnreachable, and what a store raises.
    """
    from graphbed.storage import layout
    from graphbed.storage.address import open_store

    if _is_file(job):
        config = load_job(Path(job))
        return config, open_store(config.store, os.environ)
    address = os.environ.get("GRAPHBED_STORE") or _store_of(job, lockserver or DEFAULT_LOCKSERVER)
    store = open_store(address, os.environ)
    key = layout.job_document(job)
    try:
        return parse_job(store.get(key).decode(), source=key), store
    except ObjectMissing:
        raise JobUnknown(job=job) from None


def _store_of(job: str, lockserver: str) -> str:
    from graphbed.clients.lockserver import LockServerClient

    with LockServerClient(lockserver) as client:
        config = parse_job(client.get_job(job).config_yaml, source=f"the job {job}")
    if "://" not in config.store:
        raise InputError(what=f"set GRAPHBED_STORE to the cluster's store; the job {job} does not name it")
    return config.store


def _is_file(job: str) -> bool:
    path = Path(job)
    return path.suffix in (".yaml", ".yml") or os.sep in job or path.is_file()
