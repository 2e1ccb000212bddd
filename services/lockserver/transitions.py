"""Transitions: what a request does to a job's state. Functions of the state and the request; the caller brings ids."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from graphbed.errors import BadReceipt, LeaseLost, ParentUncommitted
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.manifest import CommitRecord, EpochTotals, StoredVersion
from graphbed.storage.receipt import Receipt
from graphbed.v1 import lockserver_pb2
from services.lockserver.boards import board_of, likely_next
from services.lockserver.failures import ended, ended_by_failure, ended_in_peace, ended_in_silence, status_after
from services.lockserver.memory import recorded, remember
from services.lockserver.plan import Plan
from services.lockserver.receipts import check_parameters, check_versions
from services.lockserver.records import Beat, Lease, Progress, RequestKind, SealedDelta, StartVersion
from services.lockserver.scheduler import Board, NoWork, Work, choose
from services.lockserver.state import Delta, JobState, Status
from services.lockserver.succession import choose_successor, waiting

A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[A_co]):
    """What a transition does and what it answers; no delta: it changes nothing."""

    delta: Delta | None
    answer: A_co


def acquire(state: JobState, plan: Plan, *, trainer: str, request_id: str, lease_id: str) -> Outcome[Lease | NoWork]:
    """Grant the best work there is as lease `lease_id`, or say why there is none.

    A request id that was granted before gets that grant again. Asking anew while a lease is live means that the trainer
    has forgotten it (it was restarted), so the old one is void.
    """
    repeated = state.reply_to(trainer, RequestKind.ACQUIRE, request_id)
    if repeated is not None and repeated.lease is not None:
        return Outcome(None, repeated.lease)
    forgotten = forget(state, plan, trainer)
    base = state.apply(forgotten) if forgotten else state
    if base.header.status is not Status.RUNNING:
        return Outcome(forgotten, NoWork.NOTHING_DUE)
    if plan.rules.max_trainers is not None and len(base.trainers_at_work()) >= plan.rules.max_trainers:
        return Outcome(forgotten, NoWork.TRAINERS_ENOUGH)
    if plan.rules.deterministic and base.leases:
        return Outcome(forgotten, NoWork.PARTITIONS_BUSY)
    board = board_of(base, plan, trainer)
    work = choose(plan, board)
    if isinstance(work, NoWork):
        noted = None if work is NoWork.NOTHING_DUE else _wait(base, trainer)
        return Outcome(forgotten.then(noted) if forgotten and noted else forgotten or noted, work)
    lease = _lease(base, plan, board, work, lease_id=lease_id, trainer=trainer)
    delta = _grant(base, lease, request_id)
    return Outcome(forgotten.then(delta) if forgotten else delta, lease)


def succeed(
    state: JobState, plan: Plan, *, trainer: str, request_id: str, parent: str, lease_id: str, refused: NoWork | None
) -> Outcome[Lease | NoWork]:
    """Grant what comes after the live lease `parent` as its successor `lease_id`, or say why there is none yet.

    What both need starts from what the parent will store. A request id that was granted before gets that grant again.
    `refused`: why none begins now, whatever the state says. Raises LeaseLost unless `trainer` holds the parent.
    """
    repeated = state.reply_to(trainer, RequestKind.ACQUIRE, request_id)
    if repeated is not None and repeated.lease is not None:
        return Outcome(None, repeated.lease)
    held = _held(state, trainer, parent)
    chosen = refused or choose_successor(state, plan, held)
    if isinstance(chosen, NoWork):
        return Outcome(None, chosen)
    board, work = chosen
    lease = _lease(state, plan, board, work, lease_id=lease_id, trainer=trainer, held=held)
    return Outcome(_grant(state, lease, request_id), lease)


def renew(state: JobState, *, trainer: str, lease_id: str, progress: Progress) -> Delta:
    """Count a sign of life of the lease. Raises LeaseLost unless `trainer` holds it."""
    _held(state, trainer, lease_id)
    return Delta(beats={lease_id: Beat(renewals=state.beats[lease_id].renewals + 1, progress=progress)})


def commit(
    state: JobState,
    plan: Plan,
    *,
    trainer: str,
    request_id: str,
    lease_id: str,
    versions: Sequence[tuple[Partition, Receipt]],
    parameters: Receipt | None,
    edges: int,
    loss: float,
) -> Delta | None:
    """Move the lease's pointers, mark its buckets done and end it, all at once. None: it was done before.

    Raises LeaseLost unless `trainer` holds the lease, ParentUncommitted while the one that it succeeds lives, and
    BadReceipt unless the receipts are those it asks for.
    """
    if state.reply_to(trainer, RequestKind.COMMIT, request_id) is not None:
        return None
    lease = _held(state, trainer, lease_id)
    if lease.parent in state.leases:
        raise ParentUncommitted(lease=lease_id, parent=lease.parent)
    pointers = check_versions(plan, lease, versions)
    check_parameters(plan, lease, parameters)
    if not math.isfinite(loss):
        raise BadReceipt(what="the loss is not finite")
    done = dict.fromkeys(lease.buckets, lease.epoch + 1)
    # Nobody else can have finished a bucket of a live lease: they would have needed its partitions.
    assert all(state.done.get(bucket, 0) == lease.epoch for bucket in done), "a leased bucket was done by somebody else"
    assert all(_stands(state, plan, lease, start) for start in lease.partitions), "a leased partition has moved"
    header, trainers = remember(state, trainer, RequestKind.COMMIT, request_id, None, last_commit=lease_id)
    number = header.next_commit
    header = replace(
        header,
        next_commit=number + 1,
        failed_in_a_row=0,
        status=status_after(state, plan, done),
    )
    record = CommitRecord(
        lease_id=lease_id,
        trainer_id=trainer,
        epoch=lease.epoch,
        buckets=tuple((bucket.lhs, bucket.rhs) for bucket in lease.buckets),
        partitions=tuple((start.partition.entity_type, start.partition.index) for start in lease.partitions),
        parameters=StoredVersion.from_receipt(parameters) if parameters else None,
        edges=edges,
        loss=loss,
    )
    return Delta(
        header=header,
        pointers=pointers,
        done=done,
        leases={lease_id: None},
        beats={lease_id: None},
        trainers=trainers,
        commits={number: record},
        deltas={number: SealedDelta(lease_id=lease_id, receipt=parameters)} if parameters else {},
        epochs={lease.epoch: _added(state.epochs.get(lease.epoch), lease.epoch, edges, loss)},
        failures={bucket: None for bucket in done if bucket in state.failures},
    )


def release(state: JobState, plan: Plan, *, trainer: str, request_id: str, lease_id: str, failure: str) -> Delta | None:
    """Hand the lease back; a `failure` that is not empty counts against its buckets and is kept for people.

    None: it was done before. Raises LeaseLost unless `trainer` holds the lease.
    """
    if state.reply_to(trainer, RequestKind.RELEASE, request_id) is not None:
        return None
    lease = _held(state, trainer, lease_id)
    header, trainers = remember(state, trainer, RequestKind.RELEASE, request_id, None)
    remembered = Delta(header=header, trainers=trainers)
    now = state.apply(remembered)
    return remembered.then(ended_by_failure(now, plan, lease, failure) if failure else ended_in_peace(now, lease))


def expire(state: JobState, plan: Plan, lease_id: str, renewals_seen: int) -> Delta | None:
    """End a lease that was not renewed since `renewals_seen` were counted; None if it was, or is gone."""
    beat = state.beats.get(lease_id)
    if beat is None or beat.renewals != renewals_seen:
        return None
    return ended_in_silence(state, plan, state.leases[lease_id])


def standing(beat: Beat) -> Progress | Beat:
    """What must change lest a lease counts as stalled: waiting for a server that is away is no standstill."""
    return beat if beat.progress.phase == lockserver_pb2.PHASE_WAITING else beat.progress


def stall(state: JobState, plan: Plan, lease_id: str, standing_seen: Progress | Beat) -> Delta | None:
    """End a lease that is renewed and gets nowhere since it stood as it was seen; None if it got on, or is gone."""
    beat = state.beats.get(lease_id)
    if beat is None or standing(beat) != standing_seen:
        return None
    return ended_in_silence(state, plan, state.leases[lease_id])


def forget(state: JobState, plan: Plan, trainer: str) -> Delta | None:
    """End the leases that a trainer has forgotten, as its asking anew shows. None if there are none."""
    delta = Delta()
    for lease_id in state.leases_of(trainer):
        now = state.apply(delta)
        if lease_id in now.leases:
            delta = delta.then(ended_in_silence(now, plan, now.leases[lease_id]))
    return delta if delta.leases else None


def drain(state: JobState, trainer: str, *, undo: bool) -> Delta | None:
    """Note that a trainer is to be given no new lease, or forget it. None if that is so already."""
    if (trainer in state.draining) is not undo:
        return None
    return Delta(draining={trainer: None if undo else True})


def void_leases(state: JobState, lease_ids: Sequence[str]) -> Delta | None:
    """End leases without a commit, through no fault of theirs; None if none of them lives."""
    delta = ended(state, [lease_id for lease_id in lease_ids if lease_id in state.leases])
    return delta if delta.leases else None


def _held(state: JobState, trainer: str, lease_id: str) -> Lease:
    lease = state.leases.get(lease_id)
    if lease is None or lease.trainer != trainer:
        raise LeaseLost(lease=lease_id)
    return lease


def _stands(state: JobState, plan: Plan, lease: Lease, start: StartVersion) -> bool:
    """Whether a partition of the lease is where it was when the lease was granted, or where its parent has moved it."""
    current = state.pointers.get(start.partition)
    if start.from_parent:
        return current is not None and current.key == layout.partition_version(plan.job, start.partition, lease.parent)
    return current == start.version


def _lease(
    state: JobState, plan: Plan, board: Board, work: Work, *, lease_id: str, trainer: str, held: Lease | None = None
) -> Lease:
    """The lease of `work`; what it shares with the lease `held`, its parent, starts from what that will store."""
    shared = {start.partition for start in held.partitions} if held else set()
    return Lease(
        lease_id=lease_id,
        trainer=trainer,
        epoch=work.epoch,
        buckets=work.buckets,
        partitions=tuple(
            StartVersion(partition=partition, version=None, from_parent=True)
            if partition in shared
            else StartVersion(partition=partition, version=state.pointers.get(partition))
            for partition in work.partitions
        ),
        likely_next=likely_next(plan, board, work.buckets, work.partitions),
        parent=held.lease_id if held else "",
    )


def _grant(state: JobState, lease: Lease, request_id: str) -> Delta:
    header, trainers = remember(state, lease.trainer, RequestKind.ACQUIRE, request_id, lease)
    return Delta(
        header=header,
        leases={lease.lease_id: lease},
        beats={lease.lease_id: Beat()},
        trainers=trainers,
    )


def _wait(state: JobState, trainer: str) -> Delta | None:
    """Note that a trainer waits for what others hold. None if that is noted."""
    record = waiting(state, trainer)
    return Delta(trainers=recorded(state, trainer, record)) if record else None


def _added(totals: EpochTotals | None, epoch: int, edges: int, loss: float) -> EpochTotals:
    before = totals or EpochTotals(epoch=epoch, edges=0, loss=0.0, leases=0)
    return EpochTotals(epoch=epoch, edges=before.edges + edges, loss=before.loss + loss, leases=before.leases + 1)
