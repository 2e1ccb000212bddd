"""The life of a job: how its state begins, is restored, pauses, runs on, ends, and takes note of its manifests."""

from dataclasses import replace

from graphbed.errors import InputError, JobDeleted, JobEnded, JobNotEnded, ManifestForeign
from graphbed.graph.partition import Bucket
from graphbed.storage import layout
from graphbed.storage.manifest import (
    BucketProgress,
    CommitRecord,
    Manifest,
    Pointer,
    SealedParameters,
    StoredVersion,
)
from graphbed.storage.receipt import Receipt
from graphbed.storage.tombstone import buried
from services.lockserver.failures import lifted, quarantined
from services.lockserver.plan import Plan
from services.lockserver.records import SealedDelta
from services.lockserver.state import Delta, Header, JobState, Status


def fresh(plan: Plan, *, config_sha256: str, graph_sha256: str, num_epochs: int) -> JobState:
    """The state of a job that nobody has worked on."""
    header = Header(
        status=Status.RUNNING if plan.edges else Status.COMPLETED,
        config_sha256=config_sha256,
        graph_sha256=graph_sha256,
        num_epochs=num_epochs,
    )
    return JobState(header=header)


def restored(plan: Plan, manifest: Manifest, sha256: str, *, num_epochs: int) -> JobState:
    """The state that a manifest describes: no leases, nothing remembered of trainers, every commit in it kept."""
    done = {entry.bucket: entry.epochs for entry in manifest.progress if entry.epochs}
    deltas = {
        number: SealedDelta(lease_id=layout.lease_of(version.key), receipt=version.to_receipt())
        for number, version in enumerate(manifest.parameters.deltas, start=1)
    }
    base = manifest.parameters.base
    header = Header(
        status=Status(manifest.status),
        config_sha256=manifest.config_sha256,
        graph_sha256=manifest.graph_sha256,
        num_epochs=num_epochs,
        generation=manifest.generation,
        manifest_sequence=manifest.sequence,
        manifest_sha256=sha256,
        manifest_status=Status(manifest.status),
        manifest_epochs=manifest.completed_epochs,
        base=base.to_receipt() if base else None,
        next_commit=len(deltas) + 1,
    )
    state = JobState(
        header=header,
        pointers={pointer.partition: pointer.version.to_receipt() for pointer in manifest.pointers},
        done=done,
        deltas=deltas,
        epochs={totals.epoch: totals for totals in manifest.epochs},
        skipped={entry.bucket: entry for entry in manifest.skipped},
    )
    if header.status is Status.COMPLETED and completed_epochs(plan, state) < num_epochs:
        return replace(state, header=replace(header, status=Status.RUNNING))
    return state


def extend(state: JobState, plan: Plan, num_epochs: int, *, document_sha256: str = "") -> Delta | None:
    """Note that the job was submitted again, with these epochs and that document; a completed one may run on.

    None if there is nothing new. Raises JobDeleted.
    """
    header = state.header
    if header.status is Status.DELETED:
        raise JobDeleted(job=plan.job)
    changed = replace(
        header,
        num_epochs=max(num_epochs, header.num_epochs),
        document_sha256=document_sha256 or header.document_sha256,
    )
    if header.status is Status.COMPLETED and num_epochs > header.num_epochs and plan.edges:
        changed = replace(changed, status=Status.RUNNING)
    return Delta(header=changed) if changed != header else None


def pause(state: JobState, job: str) -> Delta | None:
    """Grant no more leases of the job; those that live may commit. None if it is paused. Raises JobEnded."""
    return _switched(state, job, Status.PAUSED)


def resume(state: JobState, job: str) -> Delta | None:
    """Let a paused job run on, its failures forgotten. None if it runs. Raises JobEnded."""
    delta = _switched(state, job, Status.RUNNING)
    return replace(delta, failures=dict.fromkeys(state.failures)) if delta else None


def unquarantine(state: JobState, job: str, bucket: Bucket | None) -> Delta | None:
    """Make a quarantined bucket, or all of them, due again in the epoch that skipped it; a completed job runs on.

    What is leased in its next epoch already stays as it is. None if there is nothing to do. Raises InputError for a
    bucket that is not quarantined, JobEnded if the job was cancelled or deleted.
    """
    header = state.header
    if header.status in (Status.CANCELLED, Status.DELETED):
        raise JobEnded(job=job, status=header.status)
    leased = {held for lease in state.leases.values() for held in lease.buckets}
    found = [other for other in quarantined(state) if other not in leased]
    if bucket is not None:
        if bucket not in found:
            raise InputError(what=f"bucket {bucket} of {job} is not quarantined; `graphbed buckets list` shows those")
        found = [bucket]
    if not found:
        return None
    runs_on = header.status is Status.COMPLETED
    return replace(lifted(state, found), header=replace(header, status=Status.RUNNING if runs_on else header.status))


def _switched(state: JobState, job: str, status: Status) -> Delta | None:
    header = state.header
    if header.status.has_ended:
        raise JobEnded(job=job, status=header.status)
    return None if header.status is status else Delta(header=replace(header, status=status, failed_in_a_row=0))


def cancel(state: JobState) -> Delta | None:
    """End the job and void its leases. None if it has ended already."""
    if state.header.status.has_ended:
        return None
    gone: dict[str, None] = dict.fromkeys(state.leases)
    return Delta(header=replace(state.header, status=Status.CANCELLED), leases=gone, beats=gone)


def delete(state: JobState, job: str) -> Delta | None:
    """Give up all that the job made. None if that was done before. Raises JobNotEnded while it may still be trained."""
    if state.header.status is Status.DELETED:
        return None
    if not state.header.status.has_ended or state.leases:
        raise JobNotEnded(job=job, status=state.header.status)
    return Delta(header=replace(state.header, status=Status.DELETED))


def completed_epochs(plan: Plan, state: JobState) -> int:
    """Epochs that are behind every bucket."""
    if len(state.done) < len(plan.edges):
        return 0
    return min(state.done.values(), default=state.header.num_epochs)


def manifest_due(state: JobState, plan: Plan, *, age_seconds: float, interval_seconds: float) -> bool:
    """Whether a manifest should be written now: at the job's beginning and end, after an epoch, or when it is time."""
    header = state.header
    if header.manifest_sequence == 0 or header.manifest_status is not header.status:
        return True
    if not state.commits:
        return False
    return age_seconds >= interval_seconds or completed_epochs(plan, state) > header.manifest_epochs


def is_recorded(state: JobState) -> bool:
    """Whether the newest manifest tells everything that was committed, and the job's status."""
    return not state.commits and state.header.manifest_status is state.header.status


def next_manifest(
    state: JobState,
    plan: Plan,
    *,
    base: Receipt | None,
    deltas: tuple[SealedDelta, ...],
    nonce: str,
    written_at: float,
) -> Manifest:
    """The manifest that follows the newest one; `base` and `deltas` together are the state's parameters.

    Of a job that is deleted, a tombstone: it tells the last commits and names nothing.
    """
    manifest = Manifest(
        job=plan.job,
        generation=state.header.generation,
        sequence=state.header.manifest_sequence + 1,
        parent_sha256=state.header.manifest_sha256,
        nonce=nonce,
        written_at=written_at,
        config_sha256=state.header.config_sha256,
        graph_sha256=state.header.graph_sha256,
        status=state.header.status.value,
        pointers=tuple(
            Pointer(
                entity_type=partition.entity_type,
                index=partition.index,
                version=StoredVersion.from_receipt(state.pointers[partition]),
            )
            for partition in sorted(state.pointers)
        ),
        progress=tuple(_progress(bucket, state) for bucket in sorted(plan.edges)),
        parameters=SealedParameters(
            base=StoredVersion.from_receipt(base) if base else None,
            deltas=tuple(StoredVersion.from_receipt(delta.receipt) for delta in deltas),
        ),
        epochs=tuple(state.epochs[epoch] for epoch in sorted(state.epochs)),
        commits=state.commits_in_order(),
        skipped=tuple(state.skipped[bucket] for bucket in sorted(state.skipped)),
    )
    return buried(manifest) if state.header.status is Status.DELETED else manifest


def record_manifest(state: JobState, manifest: Manifest, sha256: str) -> Delta | None:
    """Take note of a manifest that is in the store: its commits leave the log, its parameters replace what they hold.

    Commits after it stay. None if it is noted already. Raises ManifestForeign unless it follows the newest one and
    tells a beginning of the log.
    """
    header = state.header
    if (header.manifest_sequence, header.manifest_sha256) == (manifest.sequence, sha256):
        return None
    first = header.next_commit - len(state.commits)
    behind = first + len(manifest.commits)
    told: tuple[CommitRecord, ...] = tuple(
        state.commits[number] for number in range(first, min(behind, header.next_commit))
    )
    if (manifest.sequence, manifest.parent_sha256, manifest.commits) != (
        header.manifest_sequence + 1,
        header.manifest_sha256,
        told,
    ):
        raise ManifestForeign(job=manifest.job, sequence=manifest.sequence)
    named = {version.key for version in manifest.parameters.deltas}
    contained = (n for n, delta in state.deltas.items() if n < behind and delta.receipt.key not in named)
    base = manifest.parameters.base
    return Delta(
        header=replace(
            header,
            manifest_sequence=manifest.sequence,
            manifest_sha256=sha256,
            manifest_status=Status(manifest.status),
            manifest_epochs=manifest.completed_epochs,
            base=base.to_receipt() if base else None,
        ),
        commits=dict.fromkeys(range(first, behind)),
        deltas=dict.fromkeys(contained),
    )


def _progress(bucket: Bucket, state: JobState) -> BucketProgress:
    return BucketProgress(lhs=bucket.lhs, rhs=bucket.rhs, epochs=state.done.get(bucket, 0))
