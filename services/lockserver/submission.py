"""Submission: what a job may be submitted as, looked at before anything of it is written."""

from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.errors import CheckpointsGone, ConfigDiffers, JobDeleted, ObjectExists, ObjectMissing
from graphbed.storage import layout
from graphbed.storage.chain import newest_readable
from graphbed.storage.objects import ObjectStore
from graphbed.storage.tombstone import is_name_free, tombstone
from services.lockserver.context import JobContext
from services.lockserver.state import Header, Status


def write_document(store: ObjectStore, context: JobContext, *, header: Header | None, state: str) -> bool:
    """Put the job's configuration where it belongs; True: the job is new there.

    `header` is of the state that the job has by now, if any, and was read before this is called; `state` is where. A
    refused submit writes nothing. Raises ConfigDiffers, CheckpointsGone, JobDeleted.
    """
    job = context.config.job
    buried = None if header else tombstone(store, job)
    if (header and header.status is Status.DELETED) or (buried and not is_name_free(store, job)):
        raise JobDeleted(job=job)
    key, data = layout.job_document(job), context.config_yaml.encode()
    before = _submitted(store, job)
    _require_checkpoints(store, job, header, before, state=state)
    if before is not None:
        _require_extension(context.config, before)
    told = header or (None if buried else newest_readable(store, job))
    if told is not None:
        context.require_same(told)
    if before is None:
        try:
            store.create(key, data)
        except ObjectExists:
            # Another lock server was faster, and what it was told counts.
            return write_document(store, context, header=header, state=state)
        return True
    if context.config != before:
        store.put(key, data)
    return False


def _submitted(store: ObjectStore, job: str) -> JobConfig | None:
    """The configuration that the job was submitted with before."""
    key = layout.job_document(job)
    try:
        return parse_job(store.get(key).decode(), source=key)
    except ObjectMissing:
        return None


def _require_checkpoints(
    store: ObjectStore, job: str, header: Header | None, before: JobConfig | None, *, state: str
) -> None:
    """Raise CheckpointsGone for a state whose job was removed from the store: its pointers lead nowhere."""
    if header is None:
        return
    # job.yaml is written before a state is begun, and a manifest before a state names it. Where the manifest is there,
    # job.yaml alone got lost: it is written again.
    if header.manifest_sequence:
        is_there = store.exists(layout.manifest(job, header.manifest_sequence))
    else:
        is_there = before is not None
    if not is_there:
        raise CheckpointsGone(job=job, state=state, store=store.address)


def _require_extension(config: JobConfig, before: JobConfig) -> None:
    """Raise ConfigDiffers unless the job that was submitted before may go on as `config`."""
    differences = config.differences(before)
    if config.num_epochs < before.num_epochs:
        differences.append(f"num_epochs is {config.num_epochs}, was {before.num_epochs} and can only grow")
    if differences:
        raise ConfigDiffers(job=config.job, keys="; ".join(differences))
