"""Failures: what leases that ended badly say about their buckets, and when a bucket is given up for an epoch."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from graphbed.graph.partition import Bucket
from graphbed.storage.manifest import SkippedBucket
from services.lockserver.plan import Plan
from services.lockserver.records import Failures, Lease
from services.lockserver.state import Delta, JobState, Status

SILENT_LEASES = 2
"""A bucket whose last leases, as many in a row, ended without a word is tried alone from then on; only leases that end
so while it is alone count as failures. Whoever kills trainers at random hardly ever meets one bucket so often."""

FAILURES_KEPT = 100
"""Of one bucket; as many as `lease.max_failures` may be."""


def alone(state: JobState, trainer: str) -> dict[Bucket, int]:
    """The buckets that are granted alone: those that failed, and those skipped in their last epoch.

    Each with how reluctantly `trainer` should be given it: more so, the more often it failed there, then anywhere.
    """
    failed = {
        bucket: (failures.trainers.count(trainer) << 16) + max(len(failures.trainers) - 1, 0)
        for bucket, failures in state.failures.items()
        if failures.trainers or failures.silent >= SILENT_LEASES
    }
    return {**dict.fromkeys(quarantined(state), 0), **failed}


def quarantined(state: JobState) -> list[Bucket]:
    """The buckets that were skipped in the last epoch that is behind them."""
    return [bucket for bucket, skipped in state.skipped.items() if state.done.get(bucket, 0) - 1 in skipped.epochs]


def ended_by_failure(state: JobState, plan: Plan, lease: Lease, reason: str) -> Delta:
    """End the lease as one whose trainer said that it could not train it."""
    header = replace(state.header, last_failure=reason, failed_in_a_row=state.header.failed_in_a_row + 1)
    delta = replace(
        ended(state, [lease.lease_id]),
        header=header,
        failures={bucket: _failed(state, bucket, lease.trainer, reason) for bucket in lease.buckets},
    )
    return delta.then(_judged(state.apply(delta), plan, lease))


def ended_in_silence(state: JobState, plan: Plan, lease: Lease) -> Delta:
    """End the lease as one of a trainer that died, hangs, or has forgotten it; who knows what killed it: the lease that
    was being stored, or its successor that was being trained."""
    found = {}
    successor = state.leases.get(state.successor_of(lease.lease_id) or "")
    for bucket in {**dict.fromkeys(lease.buckets), **dict.fromkeys(successor.buckets if successor else ())}:
        before = state.failures.get(bucket, Failures())
        if before.silent >= SILENT_LEASES and len(lease.buckets) == 1:
            before = _failed(state, bucket, lease.trainer, f"{lease.trainer}: silent while it trained bucket {bucket}")
        found[bucket] = replace(before, silent=before.silent + 1)
    delta = replace(ended(state, [lease.lease_id]), failures=found)
    return delta.then(_judged(state.apply(delta), plan, lease))


def ended_in_peace(state: JobState, lease: Lease) -> Delta:
    """End the lease as one that was handed back: that is no failure, and its trainer lives."""
    heard = {
        bucket: replace(failures, silent=0)
        for bucket in lease.buckets
        if (failures := state.failures.get(bucket)) is not None and failures.silent
    }
    return replace(ended(state, [lease.lease_id]), failures=heard)


def lifted(state: JobState, buckets: Iterable[Bucket]) -> Delta:
    """Make quarantined buckets due again in the epoch in which they were skipped last; they have failed nothing yet."""
    done: dict[Bucket, int | None] = {}
    skipped: dict[Bucket, SkippedBucket | None] = {}
    for bucket in buckets:
        epoch = state.done[bucket] - 1
        epochs = tuple(other for other in state.skipped[bucket].epochs if other != epoch)
        skipped[bucket] = state.skipped[bucket].model_copy(update={"epochs": epochs}) if epochs else None
        done[bucket] = epoch or None
    return Delta(done=done, skipped=skipped, failures={b: None for b in done if b in state.failures})


def status_after(state: JobState, plan: Plan, done: Mapping[Bucket, int]) -> Status:
    """The job's status once the buckets of `done` are marked: completed when the last epoch is behind all."""
    header = state.header
    behind = all(done.get(b, state.done.get(b, 0)) >= header.num_epochs for b in plan.edges)
    return Status.COMPLETED if behind else header.status


def ended(state: JobState, lease_ids: Iterable[str]) -> Delta:
    """End leases that live, without a commit; whatever succeeds one of them starts from what will never be stored."""
    over = set(lease_ids)
    gone: dict[str, None] = {
        lease_id: None for lease_id, lease in state.leases.items() if lease_id in over or lease.parent in over
    }
    return Delta(leases=gone, beats=gone)


def _failed(state: JobState, bucket: Bucket, trainer: str, reason: str) -> Failures:
    before = state.failures.get(bucket, Failures())
    return replace(
        before,
        trainers=(*before.trainers, trainer)[-FAILURES_KEPT:],
        turns=(*before.turns, state.header.turns)[-FAILURES_KEPT:],
        reason=reason,
    )


def _judged(state: JobState, plan: Plan, lease: Lease) -> Delta:
    """Skip the bucket of a lease that ended if it stood alone and has failed often enough.

    If more than half of its epoch fails or was skipped the fault lies elsewhere: the job is paused instead.
    """
    bucket, header = lease.buckets[0], state.header
    failures = state.failures.get(bucket)
    if lease.parent in state.leases:
        # Its marks come after its parent's; it fails again, alone, if it must.
        return Delta()
    if len(lease.buckets) > 1 or failures is None or not _is_hopeless(state, plan, failures):
        return Delta()
    bad = {other for other, skipped in state.skipped.items() if lease.epoch in skipped.epochs}
    bad |= {other for other, noted in state.failures.items() if noted.trainers}
    if 2 * len(bad) > len(plan.edges):
        reason = f"paused, because more than half of epoch {lease.epoch} fails: {failures.reason}"
        status = Status.PAUSED if header.status is Status.RUNNING else header.status
        return Delta(header=replace(header, status=status, last_failure=reason))
    done = {bucket: lease.epoch + 1}
    earlier = state.skipped[bucket].epochs if bucket in state.skipped else ()
    skipped = SkippedBucket(lhs=bucket.lhs, rhs=bucket.rhs, epochs=(*earlier, lease.epoch), reason=failures.reason)
    return Delta(
        header=replace(header, status=status_after(state, plan, done), last_failure=failures.reason),
        done=done,
        skipped={bucket: skipped},
        failures={bucket: None},
    )


def _is_hopeless(state: JobState, plan: Plan, failures: Failures) -> bool:
    """Whether so many different trainers failed it; or, of fewer, all that were heard from during as many failures."""
    enough = plan.rules.max_failures
    if len(failures.trainers) < enough:
        return False
    working = {name for name, record in state.trainers.items() if record.turn >= failures.turns[-enough]}
    working |= state.trainers_at_work()
    failed = set(failures.trainers)
    return len(failed) >= enough or working <= failed
