"""The chronicle: each change of a job's state as lines of history, before it is tried and when its end is known.

A change is told first and done then: one that was done is always told. Tags order the changes: each names the one
that it follows. Whether a change that was told did happen is known by its second line, or by another that follows it.
"""

from collections.abc import Mapping
from typing import Any

from graphbed import history
from graphbed.storage.manifest import Manifest
from services.lockserver.records import Lease, TrainerRecord
from services.lockserver.state import Delta, JobState


def tell(job: str, before: str, after: str, delta: Delta, state: JobState | None) -> None:
    """A change of `state` from tag `before` to tag `after` is about to be tried; None and "": a state begins."""
    if history.is_on():
        known = state.trainers if state else {}
        history.record("change", job=job, before=before, after=after, **_facts(delta, known))


def tell_end(job: str, after: str, *, done: bool) -> None:
    """The change to tag `after` has happened, or was refused because somebody else was faster."""
    history.record("changed", job=job, after=after, done=done)


def facts_of(manifest: Manifest, *, own: bool) -> dict[str, Any]:
    """What is told of a manifest that was found in its place; `own`: this server has written it."""
    return {
        "sequence": manifest.sequence,
        "nonce": manifest.nonce,
        "generation": manifest.generation,
        "own": own,
    }


def _facts(delta: Delta, known: Mapping[str, TrainerRecord]) -> dict[str, Any]:
    """The parts of a change that a checker looks at; those that are empty are left out."""
    header = delta.header
    facts = {
        "status": header.status.value if header else None,
        "manifest": header.manifest_sequence if header else None,
        "generation": header.generation if header else None,
        "granted": [_granted(lease) for lease in delta.leases.values() if lease is not None],
        "ended": [lease_id for lease_id, lease in delta.leases.items() if lease is None],
        "renewed": [lease_id for lease_id, beat in delta.beats.items() if beat is not None and beat.renewals],
        "pointers": [
            [
                partition.entity_type,
                partition.index,
                receipt.key if receipt else None,
                receipt.sha256 if receipt else None,
            ]
            for partition, receipt in delta.pointers.items()
        ],
        "done": [[bucket.lhs, bucket.rhs, epochs] for bucket, epochs in delta.done.items()],
        "skipped": [
            [bucket.lhs, bucket.rhs, list(skipped.epochs) if skipped else []]
            for bucket, skipped in delta.skipped.items()
        ],
        "committed": [record.lease_id for record in delta.commits.values() if record is not None],
        "answers": [
            [trainer, reply.kind.value, reply.request_id]
            for trainer, record in delta.trainers.items()
            for reply in (record.replies if record else ())
            if reply not in known.get(trainer, TrainerRecord()).replies
        ],
    }
    return {name: value for name, value in facts.items() if value not in (None, [])}


def _granted(lease: Lease) -> dict[str, Any]:
    return {
        "lease": lease.lease_id,
        "trainer": lease.trainer,
        "parent": lease.parent,
        "epoch": lease.epoch,
        "buckets": [[bucket.lhs, bucket.rhs] for bucket in lease.buckets],
        "partitions": [
            [start.partition.entity_type, start.partition.index, start.version.key if start.version else None]
            for start in lease.partitions
        ],
    }
